// The fake as its users have it: the program of cmd/bedrockfake in a process of
// its own, which checks signatures and API keys. Clients are told the endpoint
// and credentials, and nothing else.

import { execFile, spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { devNull, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

// What the machine knows of AWS must not take part.
for (const name of Object.keys(process.env)) {
  if (/^(AWS|ANTHROPIC|BEDROCK)/.test(name)) delete process.env[name];
}
process.env.AWS_CONFIG_FILE = process.env.AWS_SHARED_CREDENTIALS_FILE = devNull;
process.env.AWS_EC2_METADATA_DISABLED = "true";

export const region = "us-east-1";
export const accessKeyId = "AKIDEXAMPLE";
export const secretAccessKey = "dummy/secret+for=tests";
export const apiKey = "bedrock-api-key-for-tests";

export const model = "us.anthropic.claude-haiku-4-5-20251001-v1:0";
export const arn = `arn:aws:bedrock:us-east-1:123456789012:inference-profile/${model}`;
export const unknown = "anthropic.claude-of-next-year-v1:0";

/** What the model answers; anything else is repeated after "You said: ". */
export const prompts = {
  weather: "What is the weather in Tokyo?", // the tool is called, in the second turn its result told
  slow: "Tell it slowly.", // 20 tokens a second, for a minute
  throttle: "Throttle me.",
  breakOff: "Break off in the middle.", // an exception after three events
};
export const weatherInput = { city: "東京", days: 3 };
export const weatherResult = "returned: ";

const script = [
  {
    when: { contains: prompts.weather, tool_result: false },
    repeat: true,
    blocks: [
      { text: "Let me look." },
      {
        tool_use: { name: "weather", input: weatherInput },
        // Anywhere: within a key and before a number.
        chunks: ['{"ci', 'ty":"東京","da', 'ys":', "3}"],
      },
    ],
  },
  { when: { contains: prompts.slow }, repeat: true, text: "tick tock ".repeat(600), pace: 20 },
  { when: { contains: prompts.throttle }, repeat: true, error: "ThrottlingException" },
  {
    when: { contains: prompts.breakOff },
    repeat: true,
    text: "This will not be finished.",
    chunk_size: 5,
    faults: ["exception=ModelStreamErrorException@3"],
  },
];

/** Builds and starts the fake; the promise is fulfilled when it listens. */
export async function startFake() {
  const dir = await mkdtemp(join(tmpdir(), "bedrockfake-"));
  const program = join(dir, process.platform === "win32" ? "bedrockfake.exe" : "bedrockfake");
  await promisify(execFile)("go", ["build", "-o", program, "./cmd/bedrockfake"], {
    cwd: fileURLToPath(new URL("../../..", import.meta.url)),
  });
  const scriptFile = join(dir, "script.json");
  await writeFile(scriptFile, JSON.stringify(script));

  const child = spawn(program, ["-addr", "127.0.0.1:0", "-s3", "127.0.0.1:0", "-script", scriptFile, "-access-key-id", accessKeyId], {
    env: { ...process.env, BEDROCKFAKE_SECRET_ACCESS_KEY: secretAccessKey, BEDROCKFAKE_API_KEY: apiKey },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = new Promise((resolve) => child.once("exit", resolve));
  const [url, s3] = await new Promise((resolve, reject) => {
    const lines = [];
    createInterface(child.stdout).on("line", (line) => lines.push(line) === 2 && resolve(lines));
    child.once("error", reject);
    exited.then((code) => reject(new Error(`bedrockfake ended with ${code} before it listened`)));
  });
  return {
    url,
    s3, // the URL of the S3 of batch jobs
    async stop() {
      child.kill();
      await exited;
      await rm(dir, { recursive: true });
    },
  };
}
