import assert from 'node:assert/strict';
import { test } from 'node:test';

import exec from 'k6/execution';
import { answers, sent } from 'k6/http';

import { introspect } from '../../../k6/_oauth.js';
import { arrivals, options, part, PARTS } from '../../../k6/_plan.js';

/** The part at so many seconds after a scenario's start, in a test whose `setup` took two minutes. */
function partAt(t, scenario, seconds) {
  const started = 1_700_000_000_000;
  Object.assign(exec.scenario, { name: scenario, startTime: started });
  exec.instance.currentTestRunDuration = 120_000 + seconds * 1000;
  t.mock.timers.enable({ apis: ['Date'], now: started + seconds * 1000 });
  const found = part();
  t.mock.timers.reset();
  return found;
}

const two = () => ({ first: arrivals('once', 10, 60), second: arrivals('once', 10, 60, 60) });

test('a run begins with its first part, however long its setup took', (t) => {
  options({ scenarios: two(), endpoints: {} });
  assert.equal(partAt(t, 'first', 0), '0');
  assert.equal(partAt(t, 'first', 9), '0');
  assert.equal(partAt(t, 'first', 11), '1');
  assert.equal(partAt(t, 'first', 59), '5');
});

test('a later scenario goes on where the one before it ended', (t) => {
  options({ scenarios: two(), endpoints: {} });
  assert.equal(partAt(t, 'second', 0), '6');
  assert.equal(partAt(t, 'second', 59), '11');
  assert.equal(partAt(t, 'second', 65), String(PARTS - 1));
});

test('the calibration before a run takes none of its parts', (t) => {
  options({ scenarios: two(), endpoints: {}, calibratedFor: 10 });
  assert.equal(partAt(t, 'first', 0), '0');
  assert.equal(partAt(t, 'second', 0), '6');
});

test('what setup asks is of no part, and needs no scenario', () => {
  const { scenario } = exec;
  Object.defineProperty(exec, 'scenario', { get: () => { throw new Error('no scenario in setup'); }, configurable: true });
  answers.push({ status: 200, body: '{"active":true}', headers: {} });
  introspect('t', true, { endpoint: 'preflight', part: 'none' });
  Object.defineProperty(exec, 'scenario', { value: scenario });
  assert.equal(sent.pop().params.tags.part, 'none');
});
