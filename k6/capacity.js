// Where does it break? Steps of introspections at a rising rate; the last step that held is the capacity.
//
// A step holds while p95 stays below 100 ms, failures below 0.1 %, and the generator starts all but 0.1 % of what was
// asked for. FIRST_RATE (500), STEPS (10), STEP_SECONDS (15), GROWTH (1.4), OPERATION=introspect|issue.

import { introspect, issue } from './_oauth.js';
import { arrivals, options as planned } from './_plan.js';
import { calibrate, preflight } from './_preflight.js';
import { choice, count, scaled, stretched } from './_settings.js';
import { summary } from './_summary.js';

export { calibrate };

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
const scenarios = {};
steps.forEach(({ name, rate }, index) => {
  scenarios[name] = arrivals('once', rate, STEP_SECONDS, index * STEP_SECONDS);
});

// The last steps are meant to break it, so nothing but wrong answers fails the run as a whole.
export const options = planned({
  scenarios,
  endpoints: { [OPERATION]: { failed: 1.01, atLeast: steps[0].rate * steps[0].seconds * 0.5 } },
  steps: steps.map(({ name }) => name),
  droppedAllowed: true,
  capacity: true,
});

export function setup() {
  return preflight(steps[STEPS - 1].rate);
}

export function once({ token }) {
  if (OPERATION === 'introspect') introspect(token);
  else issue();
}

export const handleSummary = summary({
  scenario: `capacity-${OPERATION}`,
  seconds: steps.reduce((sum, { seconds }) => sum + seconds, 0),
  peak: steps[STEPS - 1].rate,
  steps,
  capacity: true,
});
