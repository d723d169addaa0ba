// The patterns of the rules, matched with events as the services send them.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { example } from './stacks.js';

// matches knows what patterns of events of AWS services need: values, prefix,
// anything-but, exists.
function matches(pattern, event) {
  return Object.entries(pattern).every(([key, rule]) => {
    const value = event?.[key];
    if (!Array.isArray(rule)) return matches(rule, value);
    return rule.some(r => [].concat(value).some(v => leaf(r, v)));
  });
}
function leaf(rule, value) {
  if (rule === null || typeof rule !== 'object') return rule === value;
  if ('prefix' in rule) return typeof value === 'string' && value.startsWith(rule.prefix);
  if ('anything-but' in rule) return value !== undefined && ![].concat(rule['anything-but']).includes(value);
  if ('exists' in rule) return (value !== undefined) === rule.exists;
  throw new Error('a rule that this check does not know: ' + JSON.stringify(rule));
}
// unknown are the fields of a pattern that an event does not have.
const unknown = (pattern, event, path = '') => Object.entries(pattern).flatMap(([key, rule]) => event?.[key] === undefined ? [path + key]
  : Array.isArray(rule) ? [] : unknown(rule, event[key], path + key + '.'));

const events = JSON.parse(readFileSync(new URL('events.json', import.meta.url), 'utf8'));
const resources = example().stacks.Workflows.resources;
const rules = Object.fromEntries(Object.entries(resources).filter(([, r]) => r.type === 'AWS::Events::Rule').map(([n, r]) => [n, r.properties]));

test('each rule has an event', () => assert.deepEqual(Object.keys(rules).sort(), Object.keys(events).sort()));

for (const [name, rule] of Object.entries(rules)) {
  const { event, not } = events[name];
  test(`${name}: it matches the event of the service`, () => {
    assert.deepEqual(unknown(rule.EventPattern, event), []);
    assert.ok(matches(rule.EventPattern, event));
  });
  test(`${name}: it matches no other one`, () => {
    for (const change of not) assert.ok(!matches(rule.EventPattern, { ...event, detail: { ...event.detail, ...change } }), JSON.stringify(change));
    for (const [other, e] of Object.entries(events)) if (other !== name) assert.ok(!matches(rule.EventPattern, e.event), other);
  });
  test(`${name}: mistakes are found`, () => {
    const good = JSON.stringify(rule.EventPattern);
    for (const [right, wrong] of [['"detail-type"', '"detail_type"'], [/("source":\[")aws/, '$1AWS'], [/"(status|lastStatus|stopCode)"/, '"state"'], [/"(Failed|FAILED|EssentialContainerExited)"/g, '"failed"']]) {
      const bad = JSON.parse(good.replace(right, wrong));
      assert.notDeepEqual(JSON.stringify(bad), good, String(right));
      assert.ok(unknown(bad, event).length > 0 || !matches(bad, event), String(right));
    }
  });
}

test('the schedule is a time of EventBridge', () => {
  const p = resources.NightlySchedule.properties;
  const [minute, hour, day, month, weekday, year] = /^cron\((.*)\)$/.exec(p.ScheduleExpression)[1].split(' ');
  assert.ok(+minute >= 0 && +minute < 60 && +hour >= 0 && +hour < 24);
  assert.ok((day === '?') !== (weekday === '?'), 'one of the day of the month and the day of the week is ?');
  assert.deepEqual([month, year], ['*', '*']);
  assert.ok(Intl.supportedValuesOf('timeZone').includes(p.ScheduleExpressionTimezone));
  assert.equal(p.State, 'DISABLED');
  assert.doesNotThrow(() => JSON.parse(p.Target.Input));
});

test('the summaries of the day are asked for at 0:05 UTC, as jobs expects it', () => {
  const p = resources.DailySchedule.properties;
  assert.deepEqual([p.ScheduleExpression, p.ScheduleExpressionTimezone], ['cron(5 0 * * ? *)', 'UTC']);
  assert.equal(p.Target.Input, readFileSync(new URL('../../jobs/schedule.json', import.meta.url), 'utf8').trim());
});
