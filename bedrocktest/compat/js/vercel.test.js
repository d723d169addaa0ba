// The Vercel AI SDK with its provider for Amazon Bedrock: Converse by default,
// InvokeModel by its Anthropic models and its embeddings.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { createAmazonBedrock } from "@ai-sdk/amazon-bedrock";
import { createBedrockAnthropic } from "@ai-sdk/amazon-bedrock/anthropic";
import { APICallError, Output, embedMany, generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

import * as fake from "./fake.js";

let server;
before(async () => (server = await fake.startFake()));
after(() => server.stop());

const { prompts } = fake;
const credentials = { accessKeyId: fake.accessKeyId, secretAccessKey: fake.secretAccessKey };
const errors = { onError() {} }; // the default prints them

const providers = {
  "Converse": createAmazonBedrock,
  "InvokeModel (bedrockAnthropic)": createBedrockAnthropic,
};

for (const [name, create] of Object.entries(providers)) {
  describe(`@ai-sdk/amazon-bedrock with ai: ${name}`, () => {
    const connect = (config = credentials) => create({ baseURL: server.url, region: fake.region, ...config });
    const say = async (prompt, { provider = connect(), model = fake.model } = {}) =>
      (await generateText({ model: provider(model), prompt, maxRetries: 0 })).text;

    const weather = (called = []) =>
      tool({
        description: "Forecasts the weather.",
        inputSchema: z.object({ city: z.string(), days: z.number().int() }),
        execute: async (input) => {
          called.push(input);
          return { sky: "clear" };
        },
      });

    test("generateText", async () => {
      const got = await generateText({
        model: connect()(fake.model),
        system: "Be brief.",
        prompt: "漫画?",
        maxOutputTokens: 100,
        maxRetries: 0,
      });
      assert.equal(got.text, "You said: 漫画?");
      assert.equal(got.finishReason, "stop");
      assert.ok(got.usage.inputTokens > 0 && got.usage.outputTokens > 0);
    });

    test("streamText", async () => {
      const got = streamText({ model: connect()(fake.model), prompt: "One two three", maxRetries: 0, ...errors });
      const parts = [];
      for await (const part of got.textStream) parts.push(part);
      assert.equal(parts.join(""), "You said: One two three");
      assert.ok(parts.length > 1, "the text comes in pieces");
      assert.equal(await got.finishReason, "stop");
      const usage = await got.usage;
      assert.ok(usage.inputTokens > 0 && usage.outputTokens > 0);
    });

    test("a tool, and a second turn", async () => {
      const called = [];
      const got = await generateText({
        model: connect()(fake.model),
        prompt: prompts.weather,
        tools: { weather: weather(called) },
        stopWhen: stepCountIs(3),
        maxRetries: 0,
      });
      assert.deepEqual(called, [fake.weatherInput]);
      assert.match(got.text, /^weather returned: .*"sky": ?"clear"/);
      assert.deepEqual(got.steps.map((s) => s.finishReason), ["tool-calls", "stop"]);
    });

    test("a tool in a stream, and a second turn", async () => {
      const called = [];
      const got = streamText({
        model: connect()(fake.model),
        prompt: prompts.weather,
        tools: { weather: weather(called) },
        stopWhen: stepCountIs(3),
        maxRetries: 0,
        ...errors,
      });
      await got.consumeStream();
      const steps = await got.steps;
      assert.deepEqual(called, [fake.weatherInput]);
      assert.equal(steps[0].text, "Let me look.");
      assert.match(steps[1].text, /^weather returned: .*"sky": ?"clear"/);
      assert.deepEqual(steps.map((s) => s.finishReason), ["tool-calls", "stop"]);
    });

    test("toolChoice is honoured with an input that fits", async () => {
      const called = [];
      await generateText({
        model: connect()(fake.model),
        prompt: "Hi",
        tools: { weather: weather(called) },
        toolChoice: "required",
        maxRetries: 0,
      });
      assert.equal(called.length, 1, "an input that does not fit the schema is not executed");
    });

    test("an object that fits a schema", async () => {
      const { output } = await generateText({
        model: connect()(fake.model),
        prompt: "A manga, please.",
        output: Output.object({ schema: z.object({ title: z.string(), volumes: z.number().int().min(3) }) }),
        maxRetries: 0,
      });
      assert.equal(typeof output.title, "string");
      assert.ok(output.volumes >= 3);
    });

    test("an ARN as model id", async () => {
      assert.equal(await say("Hi", { model: fake.arn }), "You said: Hi");
    });

    test("a Bearer API key", async () => {
      assert.equal(await say("Hi", { provider: connect({ apiKey: fake.apiKey }) }), "You said: Hi");
      await assert.rejects(say("Hi", { provider: connect({ apiKey: "another" }) }), isError(403));
    });

    test("errors have their types", async () => {
      await assert.rejects(say("Hi", { model: fake.unknown }), isError(400, /model identifier is invalid/));
      await assert.rejects(say(prompts.throttle), isError(429));
      await assert.rejects(say("Hi", { provider: connect({ ...credentials, secretAccessKey: "wrong" }) }), isError(403, /signature/));

      let seen;
      const stream = streamText({ model: connect()(fake.unknown), prompt: "Hi", maxRetries: 0, onError: ({ error }) => (seen = error) });
      await stream.consumeStream();
      assert.ok(isError(400)(seen));
    });

    test("an exception within a stream", async () => {
      const kinds = [];
      let text = "";
      const got = streamText({ model: connect()(fake.model), prompt: prompts.breakOff, maxRetries: 0, ...errors });
      for await (const part of got.fullStream) {
        kinds.push(part.type);
        if (part.type === "text-delta") text += part.text;
      }
      assert.ok(kinds.includes("error"), `the exception is told: ${kinds}`);
      assert.ok("This will not be finished.".startsWith(text) && text.length < 26);
    });

    test("a stream is aborted, and the server goes on", async () => {
      const abort = new AbortController();
      const got = streamText({
        model: connect()(fake.model),
        prompt: prompts.slow,
        abortSignal: abort.signal,
        maxRetries: 0,
        ...errors,
      });
      const kinds = [];
      for await (const part of got.fullStream) {
        kinds.push(part.type);
        if (part.type === "text-delta") abort.abort();
      }
      assert.ok(kinds.includes("text-delta"));
      assert.ok(kinds.includes("abort"), `it was aborted: ${kinds}`);
      assert.equal(await say("Still there?"), "You said: Still there?");
    });

    test("20 streams at once", async () => {
      const provider = connect();
      const texts = await Promise.all(
        Array.from({ length: 20 }, (_, i) =>
          streamText({ model: provider(fake.model), prompt: `I am number ${i}.`, maxRetries: 0, ...errors }).text,
        ),
      );
      assert.deepEqual(texts, Array.from({ length: 20 }, (_, i) => `You said: I am number ${i}.`));
    });
  });
}

test("@ai-sdk/amazon-bedrock: embeddings", async () => {
  const provider = createAmazonBedrock({ baseURL: server.url, region: fake.region, ...credentials });
  const { embeddings, usage } = await embedMany({
    model: provider.embedding("amazon.titan-embed-text-v2:0"),
    values: ["one", "two"],
    providerOptions: { bedrock: { dimensions: 256, normalize: true } },
    maxRetries: 0,
  });
  assert.deepEqual(embeddings.map((e) => e.length), [256, 256]);
  assert.notDeepEqual(embeddings[0], embeddings[1]);
  assert.ok(usage.tokens > 0);
});

function isError(status, message = /./) {
  return (err) => {
    assert.ok(APICallError.isInstance(err), String(err));
    assert.equal(err.statusCode, status);
    assert.match(err.message, message);
    return true;
  };
}
