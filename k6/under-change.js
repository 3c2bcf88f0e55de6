// Load that goes on while something is changed: a rollout, a key rotation, a failover of Redis. `make loadtest-changes`
// makes the changes too; elsewhere start the run, make the change, and read how many requests failed.
//
// CHANGE=rollout|rotation|failover says what may happen:
//   rollout, rotation  nothing fails
//   failover           503 with Retry-After while nothing can be stored, for six seconds' worth of requests; no other
//                      failure, and never a wrong answer
// RATE (50 lives a second), two minutes.

import { introspect, issue } from './_oauth.js';
import { arrivals, options as planned } from './_plan.js';
import { preflight } from './_preflight.js';
import { choice, count, scaled, stretched } from './_settings.js';
import { summary } from './_summary.js';

const CHANGE = choice('CHANGE', ['rollout', 'rotation', 'failover']);
const RATE = scaled(count('RATE', 50));
const SECONDS = 120;
const OUTAGE_SECONDS = 6; // Sentinel needs a second to believe it, a few to agree, and the service one to find the heir
const failed = CHANGE === 'failover' ? Math.min(0.99, OUTAGE_SECONDS / stretched(SECONDS)) : 0.00001;
const lives = RATE * stretched(SECONDS);

export const options = planned({
  scenarios: { [CHANGE]: arrivals('life', RATE, SECONDS) },
  endpoints: {
    issue: { failed, atLeast: lives * 0.9 },
    introspect: { failed, atLeast: lives * 0.9 },
  },
});
options.thresholds.failed_otherwise = ['count==0'];

export function setup() {
  return preflight();
}

let earlier = null; // a token of this user's last round: it must live through the change

export function life({ token: first }) {
  introspect(first, true); // older than every change, and with every replica long since
  if (earlier !== null) introspect(earlier, true);
  const token = issue();
  if (token !== null) {
    introspect(token, true);
    // Where replication is asynchronous a failover may lose the newest tokens: then only the fresh one is asked about.
    earlier = CHANGE === 'failover' ? null : token;
  }
}

export const handleSummary = summary({ scenario: `under-${CHANGE}`, seconds: stretched(SECONDS) });
