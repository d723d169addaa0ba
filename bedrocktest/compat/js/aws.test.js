// The AWS SDK for JavaScript v3, by both of its transports.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import {
  AccessDeniedException,
  BedrockRuntimeClient,
  ConverseCommand,
  ConverseStreamCommand,
  CountTokensCommand,
  InvokeModelCommand,
  InvokeModelWithBidirectionalStreamCommand,
  InvokeModelWithResponseStreamCommand,
  ModelStreamErrorException,
  ThrottlingException,
  ValidationException,
} from "@aws-sdk/client-bedrock-runtime";
import { NodeHttpHandler } from "@smithy/node-http-handler";

import * as fake from "./fake.js";

let server;
before(async () => (server = await fake.startFake()));
after(() => server.stop());

const { model, prompts } = fake;
const credentials = { accessKeyId: fake.accessKeyId, secretAccessKey: fake.secretAccessKey };

const user = (text) => [{ role: "user", content: [{ text }] }];

const weather = {
  toolSpec: {
    name: "weather",
    description: "Forecasts the weather.",
    inputSchema: {
      json: {
        type: "object",
        properties: { city: { type: "string" }, days: { type: "integer" } },
        required: ["city", "days"],
      },
    },
  },
};

/** Reads a ConverseStream to its end. */
async function collect(stream) {
  const got = { content: [], events: [] };
  for await (const event of stream) {
    const [[kind, value]] = Object.entries(event);
    got.events.push(kind);
    switch (kind) {
      case "contentBlockStart":
        got.content[value.contentBlockIndex] = { toolUse: { ...value.start.toolUse, input: "" } };
        break;
      case "contentBlockDelta": {
        const block = (got.content[value.contentBlockIndex] ??= { text: "" });
        if (value.delta.toolUse) block.toolUse.input += value.delta.toolUse.input;
        else block.text += value.delta.text;
        break;
      }
      case "contentBlockStop": {
        const { toolUse } = got.content[value.contentBlockIndex];
        if (toolUse) toolUse.input = JSON.parse(toolUse.input);
        break;
      }
      case "messageStop":
        got.stop = value.stopReason;
        break;
      case "metadata":
        got.usage = value.usage;
    }
  }
  return got;
}

const anthropic = (text) =>
  JSON.stringify({ anthropic_version: "bedrock-2023-05-31", max_tokens: 500, messages: [{ role: "user", content: text }] });

const transports = {
  "HTTP/2, the default": { protocol: "h2" },
  "HTTP/1.1": { protocol: "http/1.1", handler: () => new NodeHttpHandler() },
};

for (const [name, { protocol, handler }] of Object.entries(transports)) {
  describe(`@aws-sdk/client-bedrock-runtime over ${name}`, () => {
    let client;
    const connect = (config) =>
      new BedrockRuntimeClient({
        endpoint: server.url,
        region: fake.region,
        credentials,
        ...(handler && { requestHandler: handler() }),
        ...config,
      });
    before(() => (client = connect()));
    after(() => client.destroy());

    const say = async (text, c = client) => {
      const out = await c.send(new ConverseCommand({ modelId: model, messages: user(text) }));
      return out.output.message.content[0].text;
    };

    test("is this transport", () => {
      assert.equal(client.config.requestHandler.metadata.handlerProtocol, protocol);
    });

    test("Converse", async () => {
      const out = await client.send(
        new ConverseCommand({
          modelId: model,
          system: [{ text: "Be brief." }],
          messages: user("漫画?"),
          inferenceConfig: { maxTokens: 100, temperature: 0.5 },
        }),
      );
      assert.deepEqual(out.output.message, { role: "assistant", content: [{ text: "You said: 漫画?" }] });
      assert.equal(out.stopReason, "end_turn");
      assert.ok(out.usage.inputTokens > 0 && out.usage.outputTokens > 0);
      assert.equal(out.usage.totalTokens, out.usage.inputTokens + out.usage.outputTokens);
      assert.ok(out.metrics.latencyMs >= 0);
      assert.match(out.$metadata.requestId, /^[0-9a-f-]{36}$/);
    });

    test("ConverseStream", async () => {
      const out = await client.send(new ConverseStreamCommand({ modelId: model, messages: user("One two three") }));
      const got = await collect(out.stream);
      assert.deepEqual(got.content, [{ text: "You said: One two three" }]);
      assert.equal(got.stop, "end_turn");
      assert.equal(got.usage.totalTokens, got.usage.inputTokens + got.usage.outputTokens);
      assert.equal(got.events[0], "messageStart");
      assert.deepEqual(got.events.slice(-3), ["contentBlockStop", "messageStop", "metadata"]);
      assert.ok(got.events.filter((e) => e === "contentBlockDelta").length > 1, "the text comes in pieces");
    });

    test("InvokeModel", async () => {
      const out = await client.send(
        new InvokeModelCommand({ modelId: model, contentType: "application/json", body: anthropic("Hi") }),
      );
      assert.equal(out.contentType, "application/json");
      const message = JSON.parse(out.body.transformToString());
      assert.deepEqual(message.content, [{ type: "text", text: "You said: Hi" }]);
      assert.equal(message.stop_reason, "end_turn");
      assert.ok(message.usage.input_tokens > 0);
    });

    test("InvokeModelWithResponseStream", async () => {
      const out = await client.send(
        new InvokeModelWithResponseStreamCommand({ modelId: model, contentType: "application/json", body: anthropic("Hi there") }),
      );
      let text = "";
      const types = [];
      let metrics;
      for await (const { chunk } of out.body) {
        const event = JSON.parse(new TextDecoder().decode(chunk.bytes));
        types.push(event.type);
        text += event.delta?.text ?? "";
        metrics = event["amazon-bedrock-invocationMetrics"];
      }
      assert.equal(text, "You said: Hi there");
      assert.equal(types[0], "message_start");
      assert.equal(types.at(-1), "message_stop");
      assert.ok(metrics.inputTokenCount > 0 && metrics.outputTokenCount > 0);
    });

    test("CountTokens", async () => {
      const out = await client.send(
        new CountTokensCommand({ modelId: "anthropic.claude-haiku-4-5-20251001-v1:0", input: { converse: { messages: user("Hi") } } }),
      );
      assert.ok(out.inputTokens > 0);
    });

    test("a tool in a stream, and a second turn", async () => {
      const toolConfig = { tools: [weather] };
      const messages = user(prompts.weather);
      const first = await collect((await client.send(new ConverseStreamCommand({ modelId: model, messages, toolConfig }))).stream);
      assert.equal(first.stop, "tool_use");
      const [text, { toolUse }] = first.content;
      assert.deepEqual(text, { text: "Let me look." });
      assert.equal(toolUse.name, "weather");
      assert.deepEqual(toolUse.input, fake.weatherInput);

      messages.push(
        { role: "assistant", content: first.content },
        { role: "user", content: [{ toolResult: { toolUseId: toolUse.toolUseId, content: [{ json: { sky: "clear" } }] } }] },
      );
      const second = await collect((await client.send(new ConverseStreamCommand({ modelId: model, messages, toolConfig }))).stream);
      assert.equal(second.stop, "end_turn");
      assert.match(second.content[0].text, /^weather returned: .*"sky": ?"clear"/);
    });

    test("toolChoice is honoured with an input that fits", async () => {
      const out = await client.send(
        new ConverseCommand({ modelId: model, messages: user("Hi"), toolConfig: { tools: [weather], toolChoice: { any: {} } } }),
      );
      assert.equal(out.stopReason, "tool_use");
      const { input } = out.output.message.content.at(-1).toolUse;
      assert.equal(typeof input.city, "string");
      assert.ok(Number.isInteger(input.days));
    });

    test("an ARN as model id", async () => {
      const out = await client.send(new ConverseCommand({ modelId: fake.arn, messages: user("Hi") }));
      assert.equal(out.output.message.content[0].text, "You said: Hi");
      const stream = await client.send(new ConverseStreamCommand({ modelId: fake.arn, messages: user("Hi") }));
      assert.equal((await collect(stream.stream)).content[0].text, "You said: Hi");
      const invoked = await client.send(
        new InvokeModelCommand({ modelId: fake.arn, contentType: "application/json", body: anthropic("Hi") }),
      );
      assert.equal(JSON.parse(invoked.body.transformToString()).content[0].text, "You said: Hi");
    });

    test("a Bearer API key", async () => {
      const bearer = { credentials: undefined, authSchemePreference: ["httpBearerAuth"] };
      const good = connect({ ...bearer, token: { token: fake.apiKey } });
      assert.equal(await say("Hi", good), "You said: Hi");
      good.destroy();

      const bad = connect({ ...bearer, token: { token: "another" } });
      await assert.rejects(say("Hi", bad), (err) => {
        assert.ok(err instanceof AccessDeniedException, `${err.name}: ${err.message}`);
        assert.equal(err.$metadata.httpStatusCode, 403);
        return true;
      });
      bad.destroy();
    });

    test("errors have their types", async () => {
      const send = (command) => connect({ maxAttempts: 1 }).send(command);
      const is = (type, status) => (err) => {
        assert.ok(err instanceof type, `${err.name}: ${err.message}`);
        assert.equal(err.name, type.name);
        assert.equal(err.$metadata.httpStatusCode, status);
        assert.ok(err.message.length > 0);
        assert.ok(err.$metadata.requestId);
        return true;
      };
      const unknown = { modelId: fake.unknown, messages: user("Hi") };
      await assert.rejects(send(new ConverseCommand(unknown)), is(ValidationException, 400));
      await assert.rejects(send(new ConverseStreamCommand(unknown)), is(ValidationException, 400));
      await assert.rejects(send(new ConverseCommand({ modelId: model, messages: user(" ") })), is(ValidationException, 400));
      const throttled = { modelId: model, messages: user(prompts.throttle) };
      await assert.rejects(send(new ConverseCommand(throttled)), is(ThrottlingException, 429));
      await assert.rejects(send(new ConverseStreamCommand(throttled)), is(ThrottlingException, 429));
    });

    test("throttling is retried", async () => {
      await assert.rejects(
        connect({ maxAttempts: 2 }).send(new ConverseCommand({ modelId: model, messages: user(prompts.throttle) })),
        (err) => err instanceof ThrottlingException && err.$metadata.attempts === 2,
      );
    });

    test("an exception within a stream", async () => {
      const out = await client.send(new ConverseStreamCommand({ modelId: model, messages: user(prompts.breakOff) }));
      const events = [];
      await assert.rejects(
        async () => {
          for await (const event of out.stream) events.push(event);
        },
        (err) => {
          assert.ok(err instanceof ModelStreamErrorException, `${err.name}: ${err.message}`);
          return true;
        },
      );
      assert.equal(events.length, 3);
    });

    test("no authorization and a wrong secret give 403", async () => {
      const wrong = connect({ credentials: { ...credentials, secretAccessKey: "wrong" } });
      const unsigned = connect({ signer: { sign: async (request) => request } });
      for (const [c, code] of [
        [wrong, "InvalidSignatureException"],
        [unsigned, "MissingAuthenticationTokenException"],
      ]) {
        await assert.rejects(say("Hi", c), (err) => {
          assert.equal(err.name, code);
          assert.equal(err.$metadata.httpStatusCode, 403);
          return true;
        });
        c.destroy();
      }
    });

    test("a stream is aborted, and the server goes on", async () => {
      const abort = new AbortController();
      const out = await client.send(new ConverseStreamCommand({ modelId: model, messages: user(prompts.slow) }), {
        abortSignal: abort.signal,
      });
      const began = performance.now();
      let deltas = 0;
      try {
        for await (const event of out.stream) {
          if (event.contentBlockDelta && ++deltas === 2) {
            abort.abort();
            break;
          }
        }
      } catch (err) {
        assert.equal(err.name, "AbortError");
      }
      assert.equal(deltas, 2);
      assert.ok(performance.now() - began < 10_000, "the answer takes a minute to its end");
      assert.equal(await say("Still there?"), "You said: Still there?");
    });

    test("20 streams at once", async () => {
      const texts = await Promise.all(
        Array.from({ length: 20 }, async (_, i) => {
          const out = await client.send(new ConverseStreamCommand({ modelId: model, messages: user(`I am number ${i}.`) }));
          return (await collect(out.stream)).content[0].text;
        }),
      );
      assert.deepEqual(texts, Array.from({ length: 20 }, (_, i) => `You said: I am number ${i}.`));
    });
  });
}

test("@aws-sdk/client-bedrock-runtime: two turns of a bidirectional stream, which needs HTTP/2", async () => {
  const client = new BedrockRuntimeClient({ endpoint: server.url, region: fake.region, credentials });
  let next;
  const turns = ["こんにちは", "And now?"];
  const answers = [];
  async function* session() {
    const event = (value) => ({ chunk: { bytes: new TextEncoder().encode(JSON.stringify({ event: value })) } });
    const promptName = "prompt";
    yield event({ sessionStart: { inferenceConfiguration: { maxTokens: 100 } } });
    yield event({ promptStart: { promptName, textOutputConfiguration: { mediaType: "text/plain" } } });
    for (const [i, content] of turns.entries()) {
      const contentName = `content-${i}`;
      const answered = new Promise((resolve) => (next = resolve));
      yield event({ contentStart: { promptName, contentName, type: "TEXT", role: "USER", interactive: true } });
      yield event({ textInput: { promptName, contentName, content } });
      yield event({ contentEnd: { promptName, contentName } });
      await answered;
    }
    yield event({ promptEnd: { promptName } });
    yield event({ sessionEnd: {} });
  }
  const out = await client.send(
    new InvokeModelWithBidirectionalStreamCommand({ modelId: "amazon.nova-2-sonic-v1:0", body: session() }),
  );
  let answer = "";
  for await (const { chunk } of out.body) {
    const { event } = JSON.parse(new TextDecoder().decode(chunk.bytes));
    if (event.textOutput) answer += event.textOutput.content;
    if (event.contentEnd) {
      answers.push(answer);
      answer = "";
      next();
    }
  }
  assert.deepEqual(answers, turns.map((text) => `You said: ${text}`));
  client.destroy();
});

test("no authorization at all gives 403 to a plain fetch", async () => {
  const response = await fetch(`${server.url}/model/${encodeURIComponent(model)}/converse`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ messages: user("Hi") }),
  });
  assert.equal(response.status, 403);
  assert.match(response.headers.get("x-amzn-errortype"), /^MissingAuthenticationTokenException/);
  assert.match((await response.json()).message, /Missing Authentication Token/);
});
