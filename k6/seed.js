// The load test of the performance guide: its rates, durations and thresholds.
//
//   introspection 100/s for 5 min · issuance 50/s for 5 min · spike 10 → 500/s · endurance 20 users for 30 min
//   p95 below 100 ms overall, 50 ms for introspection, 100 ms for issuance; below 1 % errors
//
// STAGE=all (default), or one of basic, stress, spike, endurance.

import { sleep } from 'k6';

import { introspect, issue } from './_oauth.js';
import { arrivals, options as planned, ramp, users } from './_plan.js';
import { preflight } from './_preflight.js';
import { choice, scaled } from './_settings.js';
import { summary } from './_summary.js';

const STAGE = choice('STAGE', ['all', 'basic', 'stress', 'spike', 'endurance']);
const FIVE_MINUTES = 300;

// Each stage: what runs when it starts at that second of the run.
const STAGES = {
  basic: (at) => ({ introspection: arrivals('introspection', scaled(100), FIVE_MINUTES, at) }),
  stress: (at) => ({
    introspection_beside_issuance: arrivals('introspection', scaled(100), FIVE_MINUTES, at),
    issuance: arrivals('issuance', scaled(50), FIVE_MINUTES, at),
  }),
  spike: (at) => ({
    spike: ramp(
      'introspection',
      scaled(10),
      [
        [scaled(10), 20],
        [scaled(500), 10],
        [scaled(500), 40],
        [scaled(10), 10],
        [scaled(10), 30],
      ],
      at,
    ),
  }),
  endurance: (at) => ({ endurance: users('life', 20, 1800, at) }),
};

const scenarios = {};
let ends = 0;
for (const [name, make] of Object.entries(STAGES)) {
  if (STAGE !== 'all' && STAGE !== name) continue;
  const made = make(ends);
  Object.assign(scenarios, made);
  ends = Math.max(...Object.values(made).map(({ at, seconds }) => at + seconds));
}

/** How often a scenario's function is called. A user's round takes its second of rest and two answers. */
function rounds({ executor, rate, vus, startRate, stages, seconds }) {
  if (executor === 'constant-arrival-rate') return rate * seconds;
  if (executor === 'constant-vus') return 0.8 * vus * seconds;
  const from = [startRate, ...stages.map(({ target }) => target)];
  return stages.reduce((sum, { target, duration }, index) => sum + ((from[index] + target) / 2) * parseInt(duration, 10), 0);
}

const least = (...functions) =>
  0.95 * Object.values(scenarios).reduce((sum, one) => sum + (functions.includes(one.exec) ? rounds(one) : 0), 0);
const introspections = least('introspection', 'life');
const issuances = least('issuance', 'life');

export const options = planned({
  scenarios,
  overallP95: 100,
  endpoints: {
    introspect: { p95: 50, atLeast: introspections },
    ...(issuances > 0 ? { issue: { p95: 100, atLeast: issuances } } : {}),
  },
});

export function setup() {
  return preflight();
}

export function introspection({ token }) {
  introspect(token);
}

export function issuance() {
  issue();
}

/** A user: gets a token, has it checked, goes on after a second. */
export function life() {
  const token = issue();
  if (token !== null) introspect(token);
  sleep(1);
}

export const handleSummary = summary({ scenario: `seed-${STAGE}`, seconds: ends });
