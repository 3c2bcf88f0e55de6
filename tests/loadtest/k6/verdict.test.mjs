import assert from 'node:assert/strict';
import { test } from 'node:test';

import { capacityOf, checks, generatorOf, judge } from '../../../k6/_verdict.js';

const RATE = 100;
const ENOUGH = 1200; // twice the rate for six seconds

const count = (is, ok = true, limit = 'count>=1') => ({ values: { count: is }, thresholds: { [limit]: { ok } } });
const rate = (is, ok = true, limit = 'rate<0.01') => ({ values: { rate: is }, thresholds: { [limit]: { ok } } });

function figures(more = {}) {
  return {
    metrics: {
      wrong_answers: count(0, true, 'count==0'),
      'http_req_failed{endpoint:introspect}': rate(0),
      'http_reqs{endpoint:calibration}': count(ENOUGH),
      'http_req_failed{endpoint:calibration}': rate(0),
      ...more,
    },
  };
}

/** Figures of a step that held, or of one that broke by its latency. */
function step(name, held) {
  return {
    [`http_reqs{scenario:${name}}`]: count(1000),
    [`http_req_duration{scenario:${name}}`]: { values: { med: 1, 'p(95)': held ? 5 : 500, 'p(99)': 900 } },
  };
}

const TWO = [
  { name: 'one', rate: 50, seconds: 10, p95: 100 },
  { name: 'two', rate: RATE, seconds: 10, p95: 100 },
];
const wrong = { wrong_answers: count(3, false, 'count==0') };
const serverErrors = { 'http_req_failed{endpoint:introspect}': rate(0.2, false) };
const dropped = { 'dropped_iterations{scenario:constant}': count(9, false, 'count==0') };
const slowGenerator = { 'http_reqs{endpoint:calibration}': count(700, false) };
const noResponder = { 'http_reqs{endpoint:calibration}': count(0, false) };
const failingResponder = { 'http_req_failed{endpoint:calibration}': rate(1, false) };

for (const [is, name, more, plan = {}] of [
  ['pass', 'every check holds', {}],
  ['fail', 'a wrong answer', wrong],
  ['fail', 'server errors', serverErrors],
  ['fail', 'dropped iterations', dropped],
  ['generator limited', 'k6 reaches less than twice the rate', slowGenerator],
  ['fail', 'a wrong answer to a slow generator', { ...slowGenerator, ...wrong }],
  ['fail', 'server errors to a slow generator', { ...slowGenerator, ...serverErrors }],
  ['fail', 'dropped iterations of a slow generator', { ...slowGenerator, ...dropped }],
  ['not calibrated', 'nothing was asked of a responder', noResponder],
  ['not calibrated', 'the responder fails', failingResponder],
  ['not calibrated', 'the responder fails, and a few requests came to it', { ...failingResponder, ...slowGenerator }],
  ['fail', 'a wrong answer without a responder', { ...noResponder, ...wrong }],
  ['pass', 'a run that is not about a rate needs no responder', noResponder, { calibratedFor: undefined }],
  ['pass', 'the second step broke', { ...step('one', true), ...step('two', false) }, { steps: TWO }],
  ['not reached', 'every step held', { ...step('one', true), ...step('two', true) }, { steps: TWO }],
  ['fail', 'not even the first step held', { ...step('one', false), ...step('two', false) }, { steps: TWO }],
  ['generator limited', 'every step held for a slow generator', { ...step('one', true), ...step('two', true), ...slowGenerator }, { steps: TWO }],
]) {
  test(`${is}: ${name}`, () => {
    assert.equal(judge(figures(more), { calibratedFor: RATE, ...plan }).verdict, is);
  });
}

test('one per cent of the calibration may be under way when it ends', () => {
  const judged = (asked) => judge(figures({ 'http_reqs{endpoint:calibration}': count(asked) }), { calibratedFor: RATE }).verdict;
  assert.equal(judged(1188), 'pass');
  assert.equal(judged(1187), 'generator limited');
});

test('what k6 reached by itself is a rate beside the one that was needed', () => {
  assert.deepEqual(generatorOf(figures(), RATE), { requests_per_second: 200, needed: 200 });
  assert.deepEqual(generatorOf(figures(noResponder), RATE), { requests_per_second: null, needed: 200 });
  assert.equal(generatorOf(figures(), undefined), null);
});

test('the capacity is the last step before the first that broke, though a later one held', () => {
  const steps = [
    { rate: 10, held: true },
    { rate: 20, held: false },
    { rate: 40, held: true },
  ];
  assert.deepEqual(capacityOf(steps), { requests_per_second: 10, broke: true, broke_at: 20 });
  assert.deepEqual(capacityOf(steps.slice(0, 1)), { requests_per_second: 10, broke: false, broke_at: null });
  assert.deepEqual(capacityOf(steps.slice(1)), { requests_per_second: 0, broke: true, broke_at: 20 });
  assert.equal(capacityOf([]), null);
});

test('a check has its limit and its figure, and what only keeps figures or is about k6 is none', () => {
  const found = checks({
    metrics: {
      'http_req_duration{endpoint:issue}': { values: { 'p(95)': 7, max: 9 }, thresholds: { 'p(95)<5': { ok: false } } },
      'http_reqs{part:0}': { values: { count: 4 }, thresholds: { 'count>=0': { ok: true } } },
      'http_reqs{endpoint:calibration}': count(1, false),
      'http_req_failed{endpoint:calibration}': rate(1, false),
    },
  });
  assert.deepEqual(found, [{ metric: 'http_req_duration{endpoint:issue}', limit: 'p(95)<5', figure: 7, ok: false }]);
});
