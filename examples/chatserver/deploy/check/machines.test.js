// The state machines of workflows.yaml: validated, and run by an interpreter against
// stand-ins for the services.
import assert from 'node:assert/strict';
import test from 'node:test';
import validator from 'asl-validator';
import { example } from './stacks.js';

// Node 20 lacks it, and the interpreter needs it.
Promise.withResolvers ??= function () { let resolve, reject; const promise = new this((a, b) => { resolve = a; reject = b; }); return { promise, resolve, reject }; };
const { StateMachine } = await import('aws-local-stepfunctions');
const validate = validator.default ?? validator;

function definition(name) {
  const p = example().stacks.Workflows.resources[name].properties;
  return JSON.parse(JSON.stringify(p.Definition).replace(/\$\{(\w+)\}/g, (_, n) => {
    assert.ok(n in p.DefinitionSubstitutions, `${name} has no substitution ${n}`);
    return p.DefinitionSubstitutions[n];
  }));
}
const machines = ['NightlyMachine', 'FanOutMachine'];

// gaps are mistakes that the validator does not see.
function gaps(value, path = '') {
  if (value === null || typeof value !== 'object') return [];
  const found = [];
  if (value.ErrorEquals) {
    if ('BackoffRate' in value && !(value.BackoffRate >= 1)) found.push(`${path}: BackoffRate is less than 1`);
    if ('JitterStrategy' in value && !['FULL', 'NONE'].includes(value.JitterStrategy)) found.push(`${path}: JitterStrategy is FULL or NONE`);
    if (value.ErrorEquals.includes('States.ALL') && value.ErrorEquals.length > 1) found.push(`${path}: States.ALL is not alone`);
  }
  for (const key of ['Retry', 'Catch']) {
    const rules = value[key];
    if (Array.isArray(rules) && rules.slice(0, -1).some(r => r.ErrorEquals.includes('States.ALL'))) found.push(`${path}.${key}: States.ALL is not last`);
  }
  for (const [k, v] of Object.entries(value)) {
    if (['Parameters', 'ItemSelector', 'ResultSelector'].includes(k)) found.push(...literalPaths(v, `${path}.${k}`));
    found.push(...gaps(v, `${path}.${k}`));
  }
  return found;
}

// literalPaths are values that look like paths under keys that do not say so.
function literalPaths(value, path) {
  if (value === null || typeof value !== 'object') return [];
  return Object.entries(value).flatMap(([k, v]) => typeof v === 'string' && /^(\$[.[$]|States\.)/.test(v) && !k.endsWith('.$') ? [`${path}.${k}: ${v} without .$`] : literalPaths(v, `${path}.${k}`));
}

const errors = d => {
  const r = validate(d, { checkPaths: true, checkArn: true });
  return [...(r.isValid ? [] : [r.errorsText ? r.errorsText('; ') : JSON.stringify(r.errors)]), ...gaps(d)];
};

for (const name of machines) test(`${name}: the validator and our four rules find nothing`, () => assert.deepEqual(errors(definition(name)), []));

const mistakes = {
  'a state that is not there': ['"Next":"Summary"', '"Next":"Sumary"'],
  'a field that is not there': ['"MaxConcurrency"', '"MaxConcurency"'],
  'a type that is not there': ['"Type":"Pass"', '"Type":"Psas"'],
  'a path that is none': ['"$.state.status"', '"$.state[.status"'],
  'a state that is never reached': ['"Next":"Look"', '"Next":"Ended?"'],
  'a function that is not there': ['States.Format(', 'States.Fromat('],
  'a backoff that shrinks': ['"BackoffRate":2', '"BackoffRate":0.5'],
  'a jitter that is not there': ['"JitterStrategy":"FULL"', '"JitterStrategy":"HALF"'],
  'States.ALL with others': ['"ErrorEquals":["States.ALL"]', '"ErrorEquals":["States.ALL","X"]'],
  'a path without .$': ['"JobIdentifier.$"', '"JobIdentifier"'],
};
for (const [what, [right, wrong]] of Object.entries(mistakes)) {
  test(`${what} is found`, () => {
    const good = JSON.stringify(definition('NightlyMachine')), bad = good.replace(right, wrong);
    assert.notEqual(bad, good, 'the mistake has no place any more');
    assert.notDeepEqual(errors(JSON.parse(bad)), []);
  });
}

const fail = name => { const e = new Error(name); e.name = name; throw e; };

// play runs a machine and returns its result or its error, what was asked, and how
// often each kind of event came.
async function play(name, input, tasks, waits = {}) {
  const d = definition(name), asked = {}, log = {};
  const handlers = Object.fromEntries(Object.entries(tasks).map(([state, f]) => [state, async x => { (asked[state] ??= []).push(x); return f(x, asked[state].length); }]));
  const states = new Set([...JSON.stringify(d).matchAll(/"([^"]+)":\{"Type":"Task"/g)].map(m => m[1]));
  assert.deepEqual([...Object.keys(handlers)].sort(), [...states].sort(), 'each task has a stand-in');
  const run = new StateMachine(d, { validationOptions: { checkArn: true, checkPaths: true } }).run(input, {
    context: { Execution: { Name: 'run-1' } },
    overrides: {
      taskResourceLocalHandlers: handlers, waitTimeOverrides: waits,
      retryIntervalOverrides: Object.fromEntries([...states].map(s => [s, 1])),
    },
  });
  (async () => { for await (const e of run.eventLogs) log[e.type] = (log[e.type] ?? 0) + 1; })();
  let result, error;
  try { result = await run.result; } catch (e) { error = e.cause; }
  return { result, error, asked, log };
}

const manifest = { totalRecordCount: 100, processedRecordCount: 100, successRecordCount: 99, errorRecordCount: 1 };

// night is the stand-in of a night: list of keys, what Create answers, the statuses of a job.
function night(keys, { create = () => {}, status = () => 'Completed', collect = () => {} } = {}) {
  const looks = {};
  let active = 0, peak = 0;
  return {
    peak: () => peak,
    tasks: {
      Plan: () => ({ KeyCount: keys.length, ...(keys.length ? { Contents: keys.map(Key => ({ Key, Size: 10 })) } : {}) }),
      Create: async (x, n) => {
        peak = Math.max(peak, ++active);
        await new Promise(r => setTimeout(r, 5));
        active--;
        create(x, n);
        return { JobArn: `arn:aws:bedrock:us-east-1:123456789012:model-invocation-job/${x.JobName}` };
      },
      Look: x => ({ Status: status(x.JobIdentifier, looks[x.JobIdentifier] = (looks[x.JobIdentifier] ?? 0) + 1) }),
      Collect: x => { collect(x); return { Body: JSON.stringify(manifest) }; },
      Tell: () => ({ MessageId: 'm' }),
    },
  };
}
const keys = n => Array.from({ length: n }, (_, i) => `nightly/in/${i}.jsonl`);

test('a night: every shard is a job, and its counts come back', async () => {
  const n = night(['nightly/in/', ...keys(12)], { status: (_, look) => look < 3 ? 'InProgress' : 'Completed' });
  const { error, asked } = await play('NightlyMachine', {}, n.tasks, { Pause: 1 });
  assert.equal(error, undefined);
  assert.equal(asked.Create.length, 12, 'the folder is no shard');
  assert.equal(asked.Look.length, 36);
  assert.ok(n.peak() > 1 && n.peak() <= 10, `${n.peak()} at once`);
  assert.equal(new Set(asked.Create.map(c => c.ClientRequestToken)).size, 12);
  for (const c of asked.Create) {
    assert.match(c.JobName, /^[a-zA-Z0-9]{1,63}(-*[a-zA-Z0-9+.-])*$/);
    assert.match(c.InputDataConfig.S3InputDataConfig.S3Uri, /^s3:\/\/[a-z-]+\/nightly\/in\/\d+\.jsonl$/);
    assert.match(c.RoleArn, /:role\/.*BatchRole$/);
    assert.equal(c.ModelId, 'us.anthropic.claude-haiku-4-5-20251001-v1:0');
  }
  assert.match(asked.Collect[0].Key, /^nightly\/out\/nightly-run-1-\d+\/manifest\.json\.out$/);
  const told = JSON.parse(asked.Tell[0].Message);
  assert.deepEqual([told.partial, told.shards.length, told.shards[1].records, told.shards[1].failed_records], [false, 13, 100, 1]);
});

test('nothing to do costs one request', async () => {
  const { error, asked } = await play('NightlyMachine', {}, night([]).tasks);
  assert.equal(error, undefined);
  assert.deepEqual(Object.keys(asked), ['Plan']);
});

test('throttles are retried with the same token, and nothing is done twice', async () => {
  const n = night(keys(2), { create: (_, i) => { if (i <= 3) fail('Bedrock.ThrottlingException'); } });
  const { error, asked } = await play('NightlyMachine', {}, n.tasks, { Pause: 1 });
  assert.equal(error, undefined);
  assert.equal(asked.Create.length, 5);
  assert.equal(new Set(asked.Create.map(c => c.ClientRequestToken)).size, 2);
});

test('shards that fail are named, the others are done, and the execution has failed', async () => {
  const n = night(keys(4), {
    create: x => { if (x.JobName.endsWith('-1')) fail('Bedrock.ValidationException'); },
    status: job => job.endsWith('-2') ? 'Expired' : 'PartiallyCompleted',
    collect: x => { if (x.Key.includes('run-1-3/')) fail('S3.AccessDeniedException'); },
  });
  const { error, asked } = await play('NightlyMachine', {}, n.tasks, { Pause: 1 });
  assert.equal(error?.name, 'Partial');
  const told = JSON.parse(asked.Tell[0].Message);
  assert.deepEqual(told.shards.filter(s => !s.done).map(s => s.key), ['nightly/in/1.jsonl', 'nightly/in/2.jsonl', 'nightly/in/3.jsonl']);
  assert.deepEqual([told.partial, told.shards[0].status], [true, 'PartiallyCompleted']);
  assert.equal(asked.Create.length, 4, 'a request that is not valid is not sent again');
});

test('a plan that fails for good is the end', async () => {
  const n = night([]);
  const { error, asked } = await play('NightlyMachine', {}, { ...n.tasks, Plan: () => fail('S3.SlowDownException') });
  assert.equal(error?.name, 'S3.SlowDownException');
  assert.equal(asked.Plan.length, 7);
});

const bucket = example().stacks.Data.outputs.ResultsBucket;
const questions = ['genres', 'summary', 'level'].map(name => ({ name, question: `What about ${name}?` }));
const converse = x => ({ Output: { Message: { Role: 'assistant', Content: [{ Text: 'About ' + x.Messages[0].Content[0].Text }] } }, Usage: { InputTokens: 10, OutputTokens: 20 }, StopReason: 'end_turn' });
const others = { Keep: () => ({ ETag: 'e' }), Tell: () => ({ MessageId: 'm' }) };

test('fan-out: each question is asked, and one document has all answers', async () => {
  const { error, asked } = await play('FanOutMachine', { title: '『ベルセルク』 "1–40"', questions }, { ...others, Ask: converse });
  assert.equal(error, undefined);
  assert.equal(asked.Ask.length, 3);
  assert.match(asked.Ask[0].Messages[0].Content[0].Text, /『ベルセルク』 "1–40"/);
  const kept = asked.Keep[0];
  assert.equal(kept.Key, 'results/fanout/run-1.json');
  assert.deepEqual(kept.Body.answers.map(a => a.name), ['genres', 'summary', 'level']);
  assert.deepEqual(JSON.parse(asked.Tell[0].Message), { run: 'run-1', partial: false, result: `s3://${bucket}/results/fanout/run-1.json` });
});

test('fan-out: throttles are retried, and an answer that fails is named', async () => {
  let throttles = 2;
  const { error, asked } = await play('FanOutMachine', { title: 'Monster', questions }, {
    ...others,
    Ask: x => {
      if (/level/.test(x.Messages[0].Content[0].Text)) fail('BedrockRuntime.ValidationException');
      if (throttles-- > 0) fail('BedrockRuntime.ThrottlingException');
      return converse(x);
    },
  });
  assert.equal(error, undefined);
  assert.equal(asked.Ask.length, 5);
  assert.deepEqual(asked.Keep[0].Body.answers.map(a => a.answered), [true, true, false]);
  assert.deepEqual(asked.Keep[0].Body.answers[2], { answered: false, name: 'level', error: 'BedrockRuntime.ValidationException' });
  assert.equal(JSON.parse(asked.Tell[0].Message).partial, true);
});
