// Batch inference by the AWS SDK for JavaScript v3: the control plane, and what the
// jobs read and write.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import {
  BedrockClient,
  ConflictException,
  CreateModelInvocationJobCommand,
  GetModelInvocationJobCommand,
  ListModelInvocationJobsCommand,
  ResourceNotFoundException,
  StopModelInvocationJobCommand,
  ValidationException,
} from "@aws-sdk/client-bedrock";

import * as fake from "./fake.js";

let server, client;
before(async () => {
  server = await fake.startFake();
  client = new BedrockClient({
    region: fake.region,
    endpoint: server.url,
    credentials: { accessKeyId: fake.accessKeyId, secretAccessKey: fake.secretAccessKey },
    maxAttempts: 1,
  });
  await put("");
});
after(async () => {
  client.destroy();
  await server.stop();
});

async function put(key, body) {
  const response = await fetch(`${server.s3}/manga/${key}`, { method: "PUT", body });
  assert.equal(response.status, 200);
}

async function get(key) {
  const response = await fetch(`${server.s3}/manga/${key}`);
  assert.equal(response.status, 200, key);
  return response.text();
}

const job = (name, more) => ({
  jobName: name,
  roleArn: "arn:aws:iam::123456789012:role/batch",
  modelId: fake.model,
  inputDataConfig: { s3InputDataConfig: { s3Uri: `s3://manga/in/${name}/`, s3InputFormat: "JSONL" } },
  outputDataConfig: { s3OutputDataConfig: { s3Uri: "s3://manga/out/" } },
  ...more,
});

const invoke = (i) => ({
  anthropic_version: "bedrock-2023-05-31",
  max_tokens: 100,
  messages: [{ role: "user", content: `Volume ${i}` }],
});
const converse = (i) => ({ messages: [{ role: "user", content: [{ text: `Volume ${i}` }] }], inferenceConfig: { maxTokens: 100 } });

const lines = (n, input) => Array.from({ length: n }, (_, i) => JSON.stringify({ recordId: `r${i}`, modelInput: input(i) }) + "\n").join("");

describe("batch inference", () => {
  for (const [type, input, text] of [
    ["InvokeModel", invoke, (output) => output.content[0].text],
    ["Converse", converse, (output) => output.output.message.content[0].text],
  ]) {
    test(`a job of ${type} records`, async () => {
      await put(`in/${type}/part.jsonl`, lines(120, input));
      const { jobArn } = await client.send(new CreateModelInvocationJobCommand(job(type, { modelInvocationType: type, clientRequestToken: type })));
      const got = await client.send(new GetModelInvocationJobCommand({ jobIdentifier: jobArn }));
      assert.equal(got.status, "Completed");
      assert.equal(got.modelInvocationType, type);
      assert.ok(got.submitTime instanceof Date && got.endTime instanceof Date);
      assert.deepEqual([got.totalRecordCount, got.successRecordCount, got.errorRecordCount], [120, 120, 0]);
      const folder = `out/${jobArn.split("/").at(-1)}`;
      const results = (await get(`${folder}/part.jsonl.out`)).trim().split("\n").map((line) => JSON.parse(line));
      assert.equal(new Set(results.map((r) => r.recordId)).size, 120);
      for (const r of results) {
        assert.equal(text(r.modelOutput), `You said: Volume ${r.recordId.slice(1)}`);
        assert.deepEqual(r.modelInput, input(Number(r.recordId.slice(1))));
      }
      const manifest = JSON.parse(await get(`${folder}/manifest.json.out`));
      assert.equal(manifest.processedRecordCount, 120);
      assert.ok(manifest.outputTokenCount > 0);

      const again = await client.send(new CreateModelInvocationJobCommand(job("another", { clientRequestToken: type })));
      assert.equal(again.jobArn, jobArn, "a token that is known is ignored, without an error");
      await assert.rejects(client.send(new StopModelInvocationJobCommand({ jobIdentifier: jobArn })), (err) => {
        assert.ok(err instanceof ConflictException);
        assert.equal(err.$metadata.httpStatusCode, 400);
        return true;
      });
    });
  }

  test("too few records", async () => {
    await put("in/few/part.jsonl", lines(99, invoke));
    const { jobArn } = await client.send(new CreateModelInvocationJobCommand(job("few")));
    const got = await client.send(new GetModelInvocationJobCommand({ jobIdentifier: jobArn }));
    assert.equal(got.status, "Failed");
    assert.match(got.message, /required minimum of: 100/);
  });

  test("lists and errors", async () => {
    const found = await client.send(new ListModelInvocationJobsCommand({ statusEquals: "Completed", maxResults: 1 }));
    assert.equal(found.invocationJobSummaries.length, 1);
    assert.ok(found.nextToken);
    await assert.rejects(client.send(new GetModelInvocationJobCommand({ jobIdentifier: "abcdefghijkl" })), ResourceNotFoundException);
    await assert.rejects(client.send(new CreateModelInvocationJobCommand(job("bad name"))), ValidationException);
    await assert.rejects(client.send(new CreateModelInvocationJobCommand(job("x", { timeoutDurationInHours: 12 }))), ValidationException);
  });
});
