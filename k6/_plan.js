// A script's plan: its scenarios in order, how long they take, and the thresholds that make a verdict of figures.
//
// Rules:
// - Every endpoint that is asked has a least number of requests: a rate of nothing passes any threshold.
// - `dropped_iterations` is zero: a generator that skips the slow moments reports a better service than there is.
// - A run about a rate begins with its own generator, at twice the rate, against a constant responder. What k6 does not
//   reach there crosses a threshold, so that k6 itself ends with 99, also where no responder is named.

import exec from 'k6/execution';

import { CALIBRATION_URL, MAX_VUS, WAIT_SECONDS, stretched } from './_settings.js';

/** Into how many parts a run is cut for the charts over time. */
export const PARTS = 12;
export const CALIBRATION_SECONDS = 6;
/** How many times the run's rate the generator must reach by itself. */
export const HEADROOM = 2;
const PAUSE_SECONDS = 2;

let plannedMilliseconds = 1;
/** When each scenario starts, in milliseconds of the plan. */
let starts = {};

/**
 * The part of the run, 0 to PARTS - 1, that it is now: the tag of what is asked now. By the scenario's own start: the
 * time of the test begins with `setup`, which may wait for the service. Only where a scenario runs.
 */
export function part() {
  const { name, startTime } = exec.scenario;
  const elapsed = Date.now() - startTime + (starts[name] || 0);
  return String(Math.max(0, Math.min(PARTS - 1, Math.floor((elapsed / plannedMilliseconds) * PARTS))));
}

// Each takes its `seconds` as planned, which it stretches or shortens, and `at`, the seconds of this run before it starts:
// the lengths of what comes before are whole seconds one by one, so their sum is no stretched sum.

/** Users that ask again as soon as they were answered and have paused. */
export function users(exec_, vus, seconds, at = 0, tags = {}) {
  return { executor: 'constant-vus', exec: exec_, vus, seconds: stretched(seconds), at, tags };
}

/** Requests that come at a rate, whatever the answers take (open model). */
export function arrivals(exec_, rate, seconds, at = 0, tags = {}) {
  return {
    executor: 'constant-arrival-rate',
    exec: exec_,
    rate,
    timeUnit: '1s',
    preAllocatedVUs: virtualUsers(rate),
    maxVUs: Math.max(MAX_VUS, virtualUsers(rate)),
    seconds: stretched(seconds),
    at,
    tags,
  };
}

/** Requests whose rate moves linearly from one stage, [rate, seconds], to the next. */
export function ramp(exec_, startRate, stages, at = 0, tags = {}) {
  const highest = Math.max(startRate, ...stages.map(([rate]) => rate));
  return {
    executor: 'ramping-arrival-rate',
    exec: exec_,
    startRate,
    timeUnit: '1s',
    preAllocatedVUs: virtualUsers(highest),
    maxVUs: Math.max(MAX_VUS, virtualUsers(highest)),
    stages: stages.map(([target, seconds]) => ({ target, duration: `${stretched(seconds)}s` })),
    seconds: stages.reduce((sum, [, seconds]) => sum + stretched(seconds), 0),
    at,
    tags,
  };
}

/**
 * Enough users for a second without answers at low rates, for 40 ms at high ones; k6 makes more when it needs them. All of
 * them take turns, each with an interpreter and a connection of its own, which is more than caches hold: at 5,000 a
 * second on two cores the p95 was 5 ms with 200 of them, 24 with 500 and 52 with 1,000, which dropped iterations as well.
 */
function virtualUsers(rate) {
  return Math.max(10, Math.min(MAX_VUS, rate, Math.max(200, Math.ceil(rate / 25))));
}

export const CALIBRATIONS = 'http_reqs{endpoint:calibration}';
export const CALIBRATIONS_FAILED = 'http_req_failed{endpoint:calibration}';
/** Which share, of what goes to the constant responder: one that fails has measured nothing. */
export const CALIBRATIONS_MAY_FAIL = 0.01;

/** How many requests make a calibration for a run of that rate enough; the last ones may still be under way. */
export function leastCalibrations(rate) {
  return Math.floor(HEADROOM * rate * CALIBRATION_SECONDS * 0.99);
}

/**
 * k6's options of a script.
 *
 * scenarios: by name, from the functions above.
 * endpoints: by name, {p95, p99 (milliseconds, at most), failed (share, below; 0.01), atLeast (requests)}.
 * steps: names of scenarios that are reported one by one (a capacity run's).
 * calibratedFor: the highest rate (1/s) of a run about a rate, whose script exports `calibrate`.
 */
export function options({ scenarios, endpoints, overallP95, steps = [], droppedAllowed = false, calibratedFor }) {
  const shift = calibratedFor !== undefined && CALIBRATION_URL !== '' ? CALIBRATION_SECONDS + PAUSE_SECONDS : 0;
  const planned = {};
  let ends = 0;
  starts = {};
  for (const [name, { seconds, at, ...scenario }] of Object.entries(scenarios)) {
    ends = Math.max(ends, at + seconds);
    starts[name] = at * 1000;
    planned[name] = { gracefulStop: '10s', ...scenario, startTime: `${at + shift}s` };
    if (scenario.executor !== 'ramping-arrival-rate') planned[name].duration = `${seconds}s`;
  }
  plannedMilliseconds = ends * 1000;
  const thresholds = { wrong_answers: ['count==0'] };
  // Of each by its name: what k6 drops in its calibration is no matter of the service.
  for (const name of droppedAllowed ? [] : Object.keys(scenarios)) {
    thresholds[`dropped_iterations{scenario:${name}}`] = ['count==0'];
  }
  if (overallP95 !== undefined) thresholds['http_req_duration{measured:yes}'] = [`p(95)<${overallP95}`];
  for (const [endpoint, limits] of Object.entries(endpoints)) {
    const duration = [];
    if (limits.p95 !== undefined) duration.push(`p(95)<${limits.p95}`);
    if (limits.p99 !== undefined) duration.push(`p(99)<${limits.p99}`);
    thresholds[`http_req_duration{endpoint:${endpoint}}`] = duration.length > 0 ? duration : ['max>=0'];
    thresholds[`http_req_failed{endpoint:${endpoint}}`] = [`rate<${limits.failed === undefined ? 0.01 : limits.failed}`];
    thresholds[`http_reqs{endpoint:${endpoint}}`] = [`count>=${Math.max(1, Math.floor(limits.atLeast))}`];
  }
  // Not limits: k6 keeps figures of a tag only where a threshold names it.
  for (let index = 0; index < PARTS; index += 1) {
    thresholds[`http_req_duration{part:${index}}`] = ['max>=0'];
    thresholds[`http_reqs{part:${index}}`] = ['count>=0'];
    thresholds[`http_req_failed{part:${index}}`] = ['rate>=0'];
  }
  for (const name of steps) {
    thresholds[`http_req_duration{scenario:${name}}`] = ['max>=0'];
    thresholds[`http_reqs{scenario:${name}}`] = ['count>=0'];
    thresholds[`http_req_failed{scenario:${name}}`] = ['rate>=0'];
    thresholds[`dropped_iterations{scenario:${name}}`] = ['count>=0'];
  }
  if (shift > 0) {
    const { seconds: _seconds, at: _at, ...run } = arrivals('calibrate', calibratedFor, 1);
    const rate = HEADROOM * calibratedFor; // by as many users as the run has
    planned.calibration = { ...run, rate, duration: `${CALIBRATION_SECONDS}s`, gracefulStop: '2s' };
  }
  if (calibratedFor !== undefined) {
    thresholds[CALIBRATIONS] = [`count>=${leastCalibrations(calibratedFor)}`];
    thresholds[CALIBRATIONS_FAILED] = [`rate<${CALIBRATIONS_MAY_FAIL}`];
  }
  return {
    scenarios: planned,
    thresholds,
    setupTimeout: `${Math.ceil(120 + WAIT_SECONDS)}s`,
    discardResponseBodies: false,
    noVUConnectionReuse: false,
    summaryTrendStats: ['min', 'avg', 'med', 'p(90)', 'p(95)', 'p(99)', 'max'],
    userAgent: 'auth-service-loadtest',
    systemTags: ['status', 'method', 'name', 'scenario', 'expected_response', 'error_code'],
  };
}
