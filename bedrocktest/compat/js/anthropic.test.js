// Anthropic's SDK for TypeScript with its client for Amazon Bedrock, which
// speaks InvokeModel.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import AnthropicBedrock from "@anthropic-ai/bedrock-sdk";
import { APIError, APIUserAbortError, BadRequestError, PermissionDeniedError, RateLimitError } from "@anthropic-ai/sdk";

import * as fake from "./fake.js";

let server;
before(async () => (server = await fake.startFake()));
after(() => server.stop());

const { prompts } = fake;

describe("@anthropic-ai/bedrock-sdk", () => {
  const credentials = { awsAccessKey: fake.accessKeyId, awsSecretKey: fake.secretAccessKey };
  const connect = (config = credentials) =>
    new AnthropicBedrock({ baseURL: server.url, awsRegion: fake.region, maxRetries: 0, ...config });
  const ask = (text, more) => ({
    model: fake.model,
    max_tokens: 2000,
    messages: [{ role: "user", content: text }],
    ...more,
  });
  const say = async (text, { client = connect(), ...more } = {}) =>
    (await client.messages.create(ask(text, more))).content[0].text;

  const tools = [
    {
      name: "weather",
      description: "Forecasts the weather.",
      input_schema: {
        type: "object",
        properties: { city: { type: "string" }, days: { type: "integer" } },
        required: ["city", "days"],
      },
    },
  ];

  test("messages.create", async () => {
    const got = await connect().messages.create(ask("漫画?", { system: "Be brief." }));
    assert.equal(got.type, "message");
    assert.equal(got.role, "assistant");
    assert.deepEqual(got.content, [{ type: "text", text: "You said: 漫画?" }]);
    assert.equal(got.stop_reason, "end_turn");
    assert.ok(got.usage.input_tokens > 0 && got.usage.output_tokens > 0);
  });

  test("messages.stream", async () => {
    const parts = [];
    const got = await connect()
      .messages.stream(ask("One two three"))
      .on("text", (text) => parts.push(text))
      .finalMessage();
    assert.equal(parts.join(""), "You said: One two three");
    assert.ok(parts.length > 1, "the text comes in pieces");
    assert.deepEqual(got.content.map((b) => b.text), ["You said: One two three"]);
    assert.equal(got.stop_reason, "end_turn");
    assert.ok(got.usage.input_tokens > 0 && got.usage.output_tokens > 0);
  });

  test("a tool in a stream, and a second turn", async () => {
    const client = connect();
    const first = await client.messages.stream(ask(prompts.weather, { tools })).finalMessage();
    assert.equal(first.stop_reason, "tool_use");
    const [text, call] = first.content;
    assert.equal(text.text, "Let me look.");
    assert.equal(call.name, "weather");
    assert.deepEqual(call.input, fake.weatherInput);

    const messages = [
      { role: "user", content: prompts.weather },
      { role: "assistant", content: first.content },
      { role: "user", content: [{ type: "tool_result", tool_use_id: call.id, content: "clear" }] },
    ];
    const second = await client.messages.stream(ask("", { messages, tools })).finalMessage();
    assert.equal(second.stop_reason, "end_turn");
    assert.equal(second.content[0].text, "weather returned: clear");
  });

  test("tool_choice is honoured with an input that fits", async () => {
    const got = await connect().messages.create(ask("Hi", { tools, tool_choice: { type: "tool", name: "weather" } }));
    const { input } = got.content.at(-1);
    assert.equal(typeof input.city, "string");
    assert.ok(Number.isInteger(input.days));
  });

  test("an ARN as model id", async () => {
    assert.equal(await say("Hi", { model: fake.arn }), "You said: Hi");
    const streamed = await connect().messages.stream(ask("Hi", { model: fake.arn })).finalMessage();
    assert.equal(streamed.content[0].text, "You said: Hi");
  });

  test("a Bearer API key", async () => {
    assert.equal(await say("Hi", { client: connect({ apiKey: fake.apiKey }) }), "You said: Hi");
    await assert.rejects(say("Hi", { client: connect({ apiKey: "another" }) }), is(PermissionDeniedError, 403));
  });

  test("errors have their types", async () => {
    await assert.rejects(say("Hi", { model: fake.unknown }), is(BadRequestError, 400));
    await assert.rejects(connect().messages.stream(ask("Hi", { model: fake.unknown })).finalMessage(), is(BadRequestError, 400));
    await assert.rejects(say(prompts.throttle), is(RateLimitError, 429));
    await assert.rejects(say("Hi", { client: connect({ skipAuth: true }) }), is(PermissionDeniedError, 403));
    const wrong = connect({ ...credentials, awsSecretKey: "wrong" });
    await assert.rejects(say("Hi", { client: wrong }), is(PermissionDeniedError, 403));
  });

  test("an exception within a stream", async () => {
    let text = "";
    const stream = connect().messages.stream(ask(prompts.breakOff)).on("text", (delta) => (text += delta));
    await assert.rejects(stream.finalMessage(), APIError);
    assert.ok("This will not be finished.".startsWith(text) && text.length < 26);
  });

  test("a stream is aborted, and the server goes on", async () => {
    const stream = connect().messages.stream(ask(prompts.slow));
    stream.on("text", () => stream.abort());
    await assert.rejects(stream.done(), APIUserAbortError);
    assert.equal(await say("Still there?"), "You said: Still there?");
  });

  test("20 streams at once", async () => {
    const client = connect();
    const texts = await Promise.all(
      Array.from({ length: 20 }, (_, i) => client.messages.stream(ask(`I am number ${i}.`)).finalText()),
    );
    assert.deepEqual(texts, Array.from({ length: 20 }, (_, i) => `You said: I am number ${i}.`));
  });
});

function is(type, status) {
  return (err) => {
    assert.ok(err instanceof type, `${err.constructor.name}: ${err.message}`);
    assert.equal(err.status, status);
    return true;
  };
}
