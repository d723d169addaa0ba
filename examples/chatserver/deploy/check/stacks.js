// Reads the templates, and works out what they say for example parameters: the
// root with its nested stacks, as far as the checks need it.
import { readFileSync, readdirSync } from 'node:fs';
import { parse } from 'yaml';

export const account = '123456789012';
export const region = 'us-east-1';
export const folder = new URL('../templates/', import.meta.url);
export const names = readdirSync(folder).filter(f => f.endsWith('.yaml'));

const functions = ['Sub', 'GetAtt', 'If', 'Equals', 'Not', 'And', 'Or', 'Join', 'Select', 'Split', 'FindInMap', 'GetAZs', 'Cidr'];
const long = name => name === 'Ref' ? 'Ref' : 'Fn::' + name;
const customTags = ['Ref', ...functions].flatMap(name => [
  { tag: '!' + name, resolve: s => ({ [long(name)]: name === 'GetAtt' ? split(s) : s }) },
  { tag: '!' + name, collection: 'seq', resolve: seq => ({ [long(name)]: seq.toJSON() }) },
]);
const split = path => [path.slice(0, path.indexOf('.')), path.slice(path.indexOf('.') + 1)];

// read returns a template with the long names of functions.
export function read(name) {
  return parse(readFileSync(new URL(name, folder), 'utf8'), { customTags, logLevel: 'error' });
}

// ref is what Ref gives for a resource, by its type.
function ref(stack, logical, type, p) {
  switch (type) {
    case 'AWS::SQS::Queue': return `https://sqs.${region}.amazonaws.com/${account}/${p.QueueName}`;
    case 'AWS::SNS::Topic': return `arn:aws:sns:${region}:${account}:${logical}`;
    case 'AWS::StepFunctions::StateMachine': return `arn:aws:states:${region}:${account}:stateMachine:${p.StateMachineName}`;
    case 'AWS::SecretsManager::Secret': return `arn:aws:secretsmanager:${region}:${account}:secret:${logical}-AbCdEf`;
    case 'AWS::Lambda::Function': return p.FunctionName;
    case 'AWS::S3Vectors::VectorBucket': return p.VectorBucketName;
    case 'AWS::S3::Bucket': return `${stack}-${logical}`.toLowerCase();
    default: return p.LogGroupName ?? `${stack}-${logical}`;
  }
}

function attribute(stack, logical, type, p, name) {
  const own = ref(stack, logical, type, p);
  if (name === 'QueueName') return p.QueueName;
  if (name !== 'Arn') return `${stack}-${logical}.${name}`;
  const arn = (service, resource, where = `${region}:${account}`) => `arn:aws:${service}:${where}:${resource}`;
  switch (type) {
    case 'AWS::SQS::Queue': return arn('sqs', p.QueueName);
    case 'AWS::DynamoDB::Table': return arn('dynamodb', 'table/' + own);
    case 'AWS::S3::Bucket': return arn('s3', own, ':');
    case 'AWS::IAM::Role': return arn('iam', 'role/' + own, `:${account}`);
    case 'AWS::Logs::LogGroup': return arn('logs', `log-group:${own}:*`);
    case 'AWS::Lambda::Function': return arn('lambda', 'function:' + own);
    default: throw new Error(`GetAtt ${logical}.Arn of ${type} is not known to stacks.js`);
  }
}

const nothing = Symbol('AWS::NoValue');

// deploy returns {resources, outputs, stacks} of a template with parameters.
export function deploy(name, given = {}, stack = 'manga') {
  const template = read(name);
  const resources = template.Resources, cache = new Map();
  const parameters = Object.fromEntries(Object.entries(template.Parameters ?? {}).map(([n, p]) => {
    const v = given[n] ?? p.Default;
    if (v === undefined) throw new Error(`${name}: the parameter ${n} has no value`);
    return [n, p.Type === 'CommaDelimitedList' ? String(v).split(',') : v];
  }));
  const pseudo = { Region: region, AccountId: account, Partition: 'aws', URLSuffix: 'amazonaws.com', StackName: stack, NoValue: nothing };
  const stacks = {};
  const of = n => {
    if (!cache.has(n)) {
      const r = resources[n];
      if (r === undefined) throw new Error(`${name}: there is no ${n}`);
      cache.set(n, { type: r.Type, properties: resolve(r.Properties ?? {}) });
    }
    return cache.get(n);
  };
  const nested = n => stacks[n] ??= (() => {
    const p = of(n).properties;
    return deploy(p.TemplateURL.split('/').pop(), p.Parameters, `${stack}-${n}`);
  })();
  const named = n => {
    if (n.startsWith('AWS::')) return pseudo[n.slice(5)];
    if (n in parameters) return parameters[n];
    const r = of(n);
    return ref(stack, n, r.type, r.properties);
  };
  const get = (n, path) => {
    const r = of(n);
    return r.type === 'AWS::CloudFormation::Stack' ? nested(n).outputs[path.replace('Outputs.', '')] : attribute(stack, n, r.type, r.properties, path);
  };
  const condition = n => resolve(template.Conditions[n]);
  const sub = (text, own = {}) => text.replace(/\$\{([\w.:]+)\}/g, (_, n) => {
    const v = n in own ? own[n] : n.includes('.') ? get(...split(n)) : named(n);
    return Array.isArray(v) ? v.join(',') : v;
  });
  const intrinsic = {
    Ref: named,
    'Fn::GetAtt': ([n, path]) => get(n, path),
    'Fn::Sub': v => Array.isArray(v) ? sub(v[0], resolve(v[1])) : sub(v),
    'Fn::If': ([c, yes, no]) => resolve(condition(c) ? yes : no),
    'Fn::Equals': v => { const [a, b] = resolve(v); return a === b; },
    'Fn::Not': v => !resolve(v)[0],
    'Fn::Join': ([by, list]) => resolve(list).join(by),
    'Fn::Split': v => { const [by, text] = resolve(v); return text.split(by); },
    'Fn::Select': v => { const [i, list] = resolve(v); return list[i]; },
    'Fn::FindInMap': v => {
      const [map, top, second] = resolve(v), found = template.Mappings[map]?.[top]?.[second];
      if (found === undefined) throw new Error(`${name}: the mapping ${map} has no ${top} ${second}`);
      return found;
    },
    'Fn::GetAZs': () => [region + 'a', region + 'b'],
    'Fn::Cidr': ([, count]) => Array.from({ length: count }, (_, i) => `10.40.${i}.0/24`),
  };
  function resolve(v) {
    if (Array.isArray(v)) return v.map(resolve).filter(x => x !== nothing);
    if (v === null || typeof v !== 'object') return v;
    const keys = Object.keys(v);
    if (keys.length === 1 && keys[0] in intrinsic) return intrinsic[keys[0]](v[keys[0]]);
    return Object.fromEntries(keys.map(k => [k, resolve(v[k])]).filter(([, x]) => x !== nothing));
  }
  const here = Object.keys(resources).filter(n => !resources[n].Condition || condition(resources[n].Condition));
  const outputs = {};
  for (const [n, o] of Object.entries(template.Outputs ?? {})) Object.defineProperty(outputs, n, { enumerable: true, get: () => resolve(o.Value) });
  return {
    get resources() { return Object.fromEntries(here.map(n => [n, of(n)])); },
    get stacks() { return Object.fromEntries(here.filter(n => resources[n].Type === 'AWS::CloudFormation::Stack').map(n => [n, nested(n)])); },
    outputs,
  };
}

// example is the whole with the two parameters that have no default.
export const example = (more = {}) => deploy('root.yaml', { ArtifactBucket: 'artifacts', Image: 'registry.example/chatserver:1', ...more });
