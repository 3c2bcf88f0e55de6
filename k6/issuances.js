// The guide's capacity claim: 2000 issuances a second, for two minutes, as a constant arrival rate.

import { issue } from './_oauth.js';
import { arrivals, options as planned } from './_plan.js';
import { calibrate, preflight } from './_preflight.js';
import { scaled, stretched } from './_settings.js';
import { summary } from './_summary.js';

export { calibrate };

const RATE = scaled(2000);
const SECONDS = 120;

export const options = planned({
  scenarios: { constant: arrivals('once', RATE, SECONDS) },
  overallP95: 100,
  endpoints: { issue: { p95: 100, failed: 0.001, atLeast: RATE * stretched(SECONDS) * 0.99 } },
  capacity: true,
});

export function setup() {
  return preflight(RATE);
}

export function once() {
  issue();
}

export const handleSummary = summary({ scenario: 'issuances', seconds: stretched(SECONDS), peak: RATE, capacity: true });
