// Half an hour of everything, at a steady rate: what leaks, grows or slows down shows here.
// RATE (200 lives a second; each is an issuance, two introspections and a revocation for every second).

import { introspect, issue, revoke } from './_oauth.js';
import { arrivals, options as planned } from './_plan.js';
import { preflight } from './_preflight.js';
import { count, scaled, stretched } from './_settings.js';
import { summary } from './_summary.js';

const RATE = scaled(count('RATE', 200));
const SECONDS = 1800;
const lives = RATE * stretched(SECONDS);

export const options = planned({
  scenarios: { soak: arrivals('life', RATE, SECONDS) },
  overallP95: 100,
  endpoints: {
    issue: { p95: 100, p99: 250, failed: 0.001, atLeast: lives * 0.99 },
    introspect: { p95: 50, p99: 100, failed: 0.001, atLeast: lives * 0.99 },
    revoke: { p95: 100, failed: 0.001, atLeast: lives * 0.3 },
  },
});

export function setup() {
  return preflight();
}

export function life() {
  const token = issue();
  if (token === null) return;
  introspect(token, true);
  if (Math.random() < 0.5 && revoke(token)) introspect(token, false);
}

export const handleSummary = summary({ scenario: 'soak', seconds: stretched(SECONDS) });
