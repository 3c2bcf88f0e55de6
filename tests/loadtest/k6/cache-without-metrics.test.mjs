import assert from 'node:assert/strict';
import { test } from 'node:test';

globalThis.__ENV.METRICS_URL = '';
const { cacheThresholds } = await import('../../../k6/_cache.js');
const { options, setup } = await import('../../../k6/uniform.js');
const { sent } = await import('k6/http');

test('without the counters of the service there is no run, and the setting is named', () => {
  assert.throws(setup, /METRICS_URL is not set/);
  assert.deepEqual(sent, []);
});

test('without the counters of the service k6 fails by what was not measured', () => {
  assert.deepEqual(cacheThresholds(1000).cache_lookups, ['count>=990']);
  assert.ok('cache_hit_share' in options.thresholds);
});
