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
import { choice, scaled, stretched } from './_settings.js';
import { summary } from './_summary.js';

const STAGE = choice('STAGE', ['all', 'basic', 'stress', 'spike', 'endurance']);
const FIVE_MINUTES = 300;

// Each stage: what runs, for how long, and how many of each kind in all.
const STAGES = {
  basic: {
    seconds: FIVE_MINUTES,
    introspections: scaled(100) * FIVE_MINUTES,
    make: (at) => ({ introspection: arrivals('introspection', scaled(100), FIVE_MINUTES, at) }),
  },
  stress: {
    seconds: FIVE_MINUTES,
    introspections: scaled(100) * FIVE_MINUTES,
    issuances: scaled(50) * FIVE_MINUTES,
    make: (at) => ({
      introspection_beside_issuance: arrivals('introspection', scaled(100), FIVE_MINUTES, at),
      issuance: arrivals('issuance', scaled(50), FIVE_MINUTES, at),
    }),
  },
  spike: {
    seconds: 110,
    introspections: scaled(500) * 50, // 40 seconds of it, and as many on the way there and back as in ten
    make: (at) => ({
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
  },
  endurance: {
    seconds: 1800,
    // A user's round takes its second of rest and two answers.
    introspections: 0.8 * 20 * 1800,
    issuances: 0.8 * 20 * 1800,
    make: (at) => ({ endurance: users('life', 20, 1800, at) }),
  },
};

const chosen = Object.entries(STAGES).filter(([name]) => STAGE === 'all' || STAGE === name);
const scenarios = {};
let seconds = 0;
for (const [, stage] of chosen) {
  Object.assign(scenarios, stage.make(seconds));
  seconds += stage.seconds;
}
const planned95 = (kind) => 0.95 * chosen.reduce((sum, [, stage]) => sum + (stage[kind] || 0), 0) * (stretched(seconds) / seconds);
const issues = planned95('issuances') > 0;

export const options = planned({
  scenarios,
  overallP95: 100,
  endpoints: {
    introspect: { p95: 50, atLeast: planned95('introspections') },
    ...(issues ? { issue: { p95: 100, atLeast: planned95('issuances') } } : {}),
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

export const handleSummary = summary({ scenario: `seed-${STAGE}`, seconds: stretched(seconds) });
