import assert from 'node:assert/strict';
import { test } from 'node:test';

import { arrivals, leastCalibrations, options, users } from '../../../k6/_plan.js';

const ENDPOINTS = { introspect: { p95: 50, atLeast: 10 } };
const planned = (more) => options({ scenarios: { constant: arrivals('once', 5000, 120) }, endpoints: ENDPOINTS, ...more });
const calibrated = () => planned({ calibratedFor: 5000 });

test('the calibration is the run at twice its rate: its executor and its users', () => {
  const { calibration, constant } = calibrated().scenarios;
  for (const name of ['executor', 'timeUnit', 'preAllocatedVUs', 'maxVUs']) assert.equal(calibration[name], constant[name]);
  assert.equal(calibration.rate, 2 * constant.rate);
  assert.equal(calibration.exec, 'calibrate');
});

test('the run begins when its calibration has ended', () => {
  const { calibration, constant } = calibrated().scenarios;
  const seconds = (text) => Number(text.replace('s', ''));
  assert.ok(seconds(constant.startTime) >= seconds(calibration.duration) + seconds(calibration.gracefulStop));
});

test('k6 itself fails where the generator does not reach twice the rate', () => {
  assert.deepEqual(calibrated().thresholds['http_reqs{endpoint:calibration}'], [`count>=${leastCalibrations(5000)}`]);
  assert.equal(leastCalibrations(5000), 59400);
});

test('what is not about a rate is not calibrated, and has no threshold of it', () => {
  assert.deepEqual(Object.keys(planned().scenarios), ['constant']);
  assert.ok(!Object.keys(planned().thresholds).some((name) => name.includes('calibration')));
});

test('nothing may be dropped by a scenario, whatever the calibration drops', () => {
  const { thresholds } = calibrated();
  assert.deepEqual(thresholds['dropped_iterations{scenario:constant}'], ['count==0']);
  assert.equal(thresholds.dropped_iterations, undefined);
  assert.equal(thresholds['dropped_iterations{scenario:calibration}'], undefined);
});

test('every endpoint has a least number of requests, and never none', () => {
  const { thresholds } = planned({ scenarios: { few: users('life', 1, 1) }, endpoints: { issue: { atLeast: 0.2 } } });
  assert.deepEqual(thresholds['http_reqs{endpoint:issue}'], ['count>=1']);
});
