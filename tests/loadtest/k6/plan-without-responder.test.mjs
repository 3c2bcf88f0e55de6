import assert from 'node:assert/strict';
import { test } from 'node:test';

globalThis.__ENV.CALIBRATION_URL = '';
const { arrivals, options } = await import('../../../k6/_plan.js');

test('without a responder k6 fails by the calibration that is missing', () => {
  const { scenarios, thresholds } = options({ scenarios: { constant: arrivals('once', 10, 60) }, endpoints: {}, calibratedFor: 10 });
  assert.deepEqual(Object.keys(scenarios), ['constant']);
  assert.equal(scenarios.constant.startTime, '0s');
  assert.deepEqual(thresholds['http_reqs{endpoint:calibration}'], ['count>=118']);
});
