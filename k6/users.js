// A thousand users at once: each issues a token, has it checked five times with pauses, and revokes it.
// USERS (1000), a minute.

import { sleep } from 'k6';

import { introspect, issue, revoke } from './_oauth.js';
import { options as planned, users } from './_plan.js';
import { preflight } from './_preflight.js';
import { count, stretched } from './_settings.js';
import { summary } from './_summary.js';

const USERS = count('USERS', 1000);
const SECONDS = 60;

export const options = planned({
  scenarios: { thousand: users('life', USERS, SECONDS) },
  overallP95: 100,
  endpoints: {
    issue: { p95: 100, failed: 0.001, atLeast: USERS },
    introspect: { p95: 50, failed: 0.001, atLeast: USERS * 3 },
    revoke: { p95: 100, failed: 0.001, atLeast: USERS / 2 },
  },
});

export function setup() {
  return preflight();
}

export function life() {
  sleep(Math.random() * 2);
  const token = issue();
  if (token === null) return;
  for (let index = 0; index < 5; index += 1) {
    introspect(token, true);
    sleep(1);
  }
  if (revoke(token)) introspect(token, false);
}

export const handleSummary = summary({ scenario: 'users', seconds: stretched(SECONDS) });
