import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { answers } from 'k6/http';
import { added } from 'k6/metrics';

import { cacheThresholds, cacheUse, cacheUseIn, countCacheUse } from '../../../k6/_cache.js';

const metrics = (hits, misses, started = '1.7e+09') => `# TYPE token_cache_requests counter
process_start_time_seconds ${started}
token_cache_requests_total{result="hit"} ${hits}
token_cache_requests_total{result="miss"} ${misses}
token_cache_requests_total{result="bypass"} 5.0
token_cache_requests_created{result="hit"} 1.7e+09
`;
const answer = (body, status = 200) => ({ status, body });

beforeEach(() => {
  answers.length = 0;
  for (const name of Object.keys(added)) delete added[name];
});

test('hits are told from all lookups', () => {
  assert.deepEqual(cacheUseIn(metrics('3.0', '1e+03')), { hits: 3, lookups: 1008, started: 'process_start_time_seconds 1.7e+09' });
});

test('the share is that of the run, without what was before', () => {
  answers.push(answer(metrics(900, 100)), answer(metrics(910, 190)));
  countCacheUse(cacheUse());
  assert.deepEqual(added, { cache_lookups: [100], cache_hit_share: [0.1] });
});

test('a process that was started during the run ends it: what the one before answered is not known', () => {
  answers.push(answer(metrics(900, 100)), answer(metrics(0, 1000, '1.8e+09')));
  const before = cacheUse();
  assert.throws(() => countCacheUse(before), /another process/);
});

test('a cache that nobody looked into has kept nothing out', () => {
  answers.push(answer(metrics(0, 0)), answer(metrics(0, 0)));
  countCacheUse(cacheUse());
  assert.deepEqual(added, { cache_lookups: [0], cache_hit_share: [1] });
});

test('a service that tells nothing of a cache ends the run', () => {
  for (const one of [answer('up 1\n'), answer(metrics(0, 0), 404), { status: 0, body: null, error: 'refused' }]) {
    answers.push(one);
    assert.throws(() => cacheUse(), /METRICS_URL/);
  }
});

test('each introspection must have been looked for, and hardly any found', () => {
  assert.deepEqual(cacheThresholds(1000), { cache_lookups: ['count>=990'], cache_hit_share: ['value<0.05'] });
});
