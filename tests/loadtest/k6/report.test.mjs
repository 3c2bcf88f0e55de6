import assert from 'node:assert/strict';
import { test } from 'node:test';

import { html } from '../../../k6/_html.js';
import { csv, junit, markdown } from '../../../k6/_report.js';

const ENDPOINT = { endpoint: 'introspect', requests: 10, failed: 0, p50_ms: 1, p95_ms: 2, p99_ms: 3, max_ms: 4 };
const run = (more) => ({
  scenario: 'capacity-introspect',
  run_id: 'r',
  base_url: 'http://x',
  seconds: 10,
  verdict: 'pass',
  capacity: null,
  generator: null,
  endpoints: [ENDPOINT],
  checks: [],
  steps: [],
  parts: [{ at: 0, rate: 1, p95: 1, failed: 0 }],
  ...more,
});
const reached = run({ capacity: { requests_per_second: 2700, broke: true, broke_at: 3780 } });
const notReached = run({ verdict: 'not reached', capacity: { requests_per_second: 5271, broke: false, broke_at: null } });

for (const [name, report] of Object.entries({ markdown, html })) {
  test(`${name} says the highest step that held, and where it broke`, () => {
    assert.match(report(reached), /Capacity: 2700 requests\/s, the highest step that held\. The breaking point was reached at 3780\./);
  });
  test(`${name} says that the breaking point was not reached`, () => {
    assert.match(report(notReached), /at least 5271 requests\/s.*was not reached/);
  });
  test(`${name} says nothing of a capacity that was not asked for`, () => {
    assert.doesNotMatch(report(run()), /Capacity|undefined/);
  });
}

test('CSV has the capacity in columns, empty where there is none', () => {
  const rows = (made) => csv(made).trim().split('\n').map((line) => line.split(',').slice(-2));
  assert.deepEqual(rows(reached), [['capacity_per_second', 'breaking_point'], ['2700', 'reached']]);
  assert.deepEqual(rows(notReached)[1], ['5271', 'not reached']);
  assert.deepEqual(rows(run())[1], ['', '']);
});

test('JUnit has the capacity as properties, and a failure where it was not reached', () => {
  assert.match(junit(reached), /<property name="capacity_per_second" value="2700"\/><property name="breaking_point" value="reached"\/>/);
  assert.match(junit(reached), /failures="0"/);
  assert.match(junit(notReached), /failures="1"/);
  assert.match(junit(notReached), /<failure message="not reached: Capacity: at least 5271/);
  assert.doesNotMatch(junit(run()), /<properties>/);
});

test('JUnit has a failure for a generator that was too slow', () => {
  const limited = junit(run({ verdict: 'generator limited', generator: { requests_per_second: 700, needed: 1000 } }));
  assert.match(limited, /failures="1"/);
  assert.match(limited, /generator limited: The generator alone was asked for 1000 requests\/s, twice the rate, and reached 700\./);
});
