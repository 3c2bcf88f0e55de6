// Where does it break? Steps of introspections at a rising rate; the last step that held is the capacity.
//
// A step holds while p95 stays below 100 ms, failures below 0.1 %, and the generator starts all but 0.1 % of what was
// asked for. FIRST_RATE (500), STEPS (10), STEP_SECONDS (15), GROWTH (1.4), OPERATION=introspect|issue.
//
// k6 itself must reach twice the last step's rate: choose the steps so that it can, or give it more cores. A run of which
// every step held has found no capacity, and is no pass.

import { CALIBRATION, introspect, issue } from './_oauth.js';
import { arrivals, options as planned } from './_plan.js';
import { preflight } from './_preflight.js';
import { choice, count, scaled, stretched } from './_settings.js';
import { summary } from './_summary.js';

const OPERATION = choice('OPERATION', ['introspect', 'issue']);
const STEP_SECONDS = count('STEP_SECONDS', 15);
const STEPS = count('STEPS', 10);
const GROWTH = Number(__ENV.GROWTH || 1.4);
if (!(GROWTH > 1)) throw new Error('GROWTH must be a number above 1');
const P95_MS = 100;

const steps = Array.from({ length: STEPS }, (_, index) => ({
  name: `step_${String(index + 1).padStart(2, '0')}`,
  rate: Math.round(scaled(count('FIRST_RATE', 500)) * GROWTH ** index),
  seconds: stretched(STEP_SECONDS),
  p95: P95_MS,
}));
const RATE = steps[STEPS - 1].rate;
const scenarios = {};
let ends = 0;
for (const { name, rate, seconds } of steps) {
  scenarios[name] = arrivals('once', rate, STEP_SECONDS, ends);
  ends += seconds;
}

// The last steps are meant to break it, so nothing but wrong answers and the first step fails the run as a whole.
export const options = planned({
  scenarios,
  endpoints: { [OPERATION]: { failed: 1.01, atLeast: steps[0].rate * steps[0].seconds * 0.5 } },
  steps: steps.map(({ name }) => name),
  droppedAllowed: true,
  calibratedFor: RATE,
});

const [first] = steps;
options.thresholds[`http_req_duration{scenario:${first.name}}`] = [`p(95)<${first.p95}`];
options.thresholds[`http_req_failed{scenario:${first.name}}`] = ['rate<0.001'];
options.thresholds[`dropped_iterations{scenario:${first.name}}`] = [`count<${first.rate * first.seconds * 0.001}`];

export function setup() {
  return preflight();
}

export function once({ token }) {
  if (OPERATION === 'introspect') introspect(token);
  else issue();
}

export function calibrate({ token }) {
  if (OPERATION === 'introspect') introspect(token, true, CALIBRATION);
  else issue(CALIBRATION);
}

export const handleSummary = summary({
  scenario: `capacity-${OPERATION}`,
  seconds: ends,
  steps,
  calibratedFor: RATE,
});
