// The guide's capacity claim: 2000 issuances a second, for two minutes, as a constant arrival rate.

import { CALIBRATION, issue } from './_oauth.js';
import { arrivals, options as planned } from './_plan.js';
import { preflight } from './_preflight.js';
import { scaled, stretched } from './_settings.js';
import { summary } from './_summary.js';

const RATE = scaled(2000);
const SECONDS = 120;

export const options = planned({
  scenarios: { constant: arrivals('once', RATE, SECONDS) },
  overallP95: 100,
  endpoints: { issue: { p95: 100, failed: 0.001, atLeast: RATE * stretched(SECONDS) * 0.99 } },
  calibratedFor: RATE,
});

export function setup() {
  return preflight();
}

export function once() {
  issue();
}

export function calibrate() {
  issue(CALIBRATION);
}

export const handleSummary = summary({ scenario: 'issuances', seconds: stretched(SECONDS), calibratedFor: RATE });
