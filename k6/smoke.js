// Does it work at all, under a few requests a second? Ten seconds; run it after every installation.

import { introspect, issue, revoke } from './_oauth.js';
import { arrivals, options as planned } from './_plan.js';
import { preflight } from './_preflight.js';
import { stretched } from './_settings.js';
import { summary } from './_summary.js';

const RATE = 5;
const SECONDS = 10;
const atLeast = RATE * stretched(SECONDS) * 0.8;

export const options = planned({
  scenarios: { whole_life: arrivals('life', RATE, SECONDS) },
  overallP95: 500,
  endpoints: {
    issue: { failed: 0.001, atLeast },
    introspect: { failed: 0.001, atLeast: 2 * atLeast },
    revoke: { failed: 0.001, atLeast },
  },
});

export function setup() {
  return preflight();
}

export function life() {
  const token = issue();
  if (token === null) return;
  introspect(token, true);
  if (revoke(token)) introspect(token, false);
}

export const handleSummary = summary({ scenario: 'smoke', seconds: stretched(SECONDS) });
