// The templates as aws-cdk-lib's rules see them, and that these rules see mistakes.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'node:test';
import { account, deploy, example, folder, names, read } from './stacks.js';

// guarded reports whether a complaint is of a reference that an If of the very
// condition guards, which the rules do not see.
function guarded(name, line) {
  const m = /^WARNING (\S+?)\.?Fn::If\.1\S*: Reference to '\w+' which is conditional on '(\w+)'/.exec(line);
  const value = m && m[1].split(/[/.]/).filter(Boolean).reduce((v, k) => v?.[k], read(name));
  return value?.['Fn::If']?.[0] === m?.[2] && m !== null;
}

const text = name => readFileSync(new URL(name, folder), 'utf8');

const mistakes = {
  'a property that is not there': ['queues.yaml', 'MessageRetentionPeriod: 1209600', 'MessageRetentionDays: 14'],
  'a key of a redrive policy': ['queues.yaml', 'maxReceiveCount: 10', 'maxReceives: 10'],
  'a value that is no choice': ['data.yaml', 'BillingMode: PAY_PER_REQUEST', 'BillingMode: PAY_PER_CALL'],
  'a reference to nothing': ['notify.yaml', 'TopicArn: !Ref Alarms', 'TopicArn: !Ref Alarm'],
  'an attribute that is not there': ['data.yaml', '!GetAtt Results.Arn, ', '!GetAtt Results.ARN, '],
  'a variable of Sub': ['api-websocket.yaml', "integrations/${Message}", "integrations/${Messages}"],
  'a type of a resource': ['network.yaml', 'AWS::EC2::NatGateway', 'AWS::EC2::NATGateway'],
  'a required property': ['functions.yaml', '      Role: !GetAtt RestRole.Arn\n', ''],
  'a runtime': ['functions.yaml', 'Runtime: provided.al2023', 'Runtime: provided.al2029'],
  'a state that is not there': ['workflows.yaml', 'StartAt: Plan', 'StartAt: Plans'],
  'a schedule without its window': ['workflows.yaml', '      FlexibleTimeWindow: {Mode: FLEXIBLE, MaximumWindowInMinutes: 15}\n', ''],
  'a generation': ['search.yaml', 'Generation: NEXTGEN', 'Generation: NEXT'],
};

// complaints are the errors and warnings of the templates and of those with a mistake.
// They are checked by one process, as the rules take long to load.
const complaints = (() => {
  const work = mkdtempSync(join(tmpdir(), 'cfn-'));
  try {
    const files = names.map(name => fileURLToPath(new URL(name, folder)));
    Object.values(mistakes).forEach(([name, right, wrong], i) => {
      files.push(join(work, `${i}.yaml`));
      writeFileSync(files.at(-1), text(name).replace(right, wrong));
    });
    const run = spawnSync(process.execPath, [fileURLToPath(new URL('validate.cjs', import.meta.url)), work, ...files], { encoding: 'utf8' });
    assert.equal(run.status, 0, run.stderr);
    return JSON.parse(run.stdout);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
})();

for (const name of names) {
  test(`${name}: no rule complains`, () => assert.deepEqual(complaints[name].filter(l => !guarded(name, l)), []));
}
Object.entries(mistakes).forEach(([what, [name, right]], i) => test(`the rules see ${what}`, () => {
  assert.ok(text(name).includes(right), 'the mistake has no place any more');
  assert.notDeepEqual(complaints[`${i}.yaml`].filter(l => !guarded(name, l)), []);
}));

test('the stacks work out, with each choice of each parameter', () => {
  const choices = [{}, { SearchStore: 'memory' }, { SearchStore: 'opensearch' }, { QueryBackend: 'container' }, { JobsBackend: 'container' },
    { ChatBackend: 'container', CertificateArn: `arn:aws:acm:us-east-1:${account}:certificate/c`, DomainName: 'manga.example' },
    { JwtIssuer: 'https://issuer.example', JwtAudience: 'manga' }, { Nightly: 'ENABLED' }, { AlarmEmail: 'a@example.com' }, { Geography: 'global' }];
  for (const choice of choices) {
    const whole = example(choice);
    for (const [name, stack] of Object.entries(whole.stacks)) {
      assert.ok(Object.keys(stack.resources).length > 0 || (name === 'Search' && choice.SearchStore === 'memory'), name);
      for (const value of Object.values(stack.outputs)) assert.notEqual(value, undefined);
    }
    for (const value of Object.values(whole.outputs)) assert.ok(value);
  }
});

test('a geography that a region does not have is an error', () => {
  assert.throws(() => example({ Geography: 'jp' }).resources, /has no us-east-1 jp/);
});

test('what each choice changes', () => {
  const a = example().stacks, b = example({ QueryBackend: 'container', JobsBackend: 'container' }).stacks;
  assert.equal(a.RestApi.resources.PostQuery.properties.Integration.Type, 'AWS');
  assert.equal(b.RestApi.resources.PostQuery.properties.Integration.Type, 'HTTP');
  assert.equal(a.Functions.resources.NormalSource.properties.Enabled, true);
  assert.equal(b.Functions.resources.NormalSource.properties.Enabled, false);
  assert.equal(a.RestApi.resources.PostStream.properties.Integration.ResponseTransferMode, 'STREAM');
  assert.throws(() => deploy('root.yaml'), /has no value/);
});
