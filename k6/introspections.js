// The guide's capacity claim: 5000 introspections a second, for two minutes, as a constant arrival rate.

import { CALIBRATION, introspect } from './_oauth.js';
import { arrivals, options as planned } from './_plan.js';
import { preflight } from './_preflight.js';
import { scaled, stretched } from './_settings.js';
import { summary } from './_summary.js';

const RATE = scaled(5000);
const SECONDS = 120;

export const options = planned({
  scenarios: { constant: arrivals('once', RATE, SECONDS) },
  overallP95: 100,
  endpoints: { introspect: { p95: 50, failed: 0.001, atLeast: RATE * stretched(SECONDS) * 0.99 } },
  calibratedFor: RATE,
});

export function setup() {
  return preflight();
}

export function once({ token }) {
  introspect(token);
}

export function calibrate({ token }) {
  introspect(token, true, CALIBRATION);
}

export const handleSummary = summary({ scenario: 'introspections', seconds: stretched(SECONDS), calibratedFor: RATE });
