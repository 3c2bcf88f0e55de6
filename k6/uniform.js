// Every introspection asks about the token that was asked about longest ago, of twice as many as the service caches by
// default: Redis answers, never the cache. The service's own counters at METRICS_URL prove it: its cache was looked into
// for each, and knew hardly any. Without Redis there is no cache to be kept out of, and the proof fails; without METRICS_URL
// there is no proof, and no run.
// TOKENS (20000), RATE (500 introspections a second), two minutes after the filling.

import { askInTurn, fill, issueOne, pool, settings } from './_pool.js';
import { cacheThresholds, cacheUse, countCacheUse, needCounters } from './_cache.js';
import { preflight } from './_preflight.js';
import { summary } from './_summary.js';

export { askInTurn, fill, issueOne };

const plan = pool({ tokens: settings.tokens(20000), rate: settings.rate(500), issuance: 0, inTurn: true });
export const options = plan.options;

Object.assign(options.thresholds, cacheThresholds(plan.asked));

export function setup() {
  needCounters();
  return { ...preflight(), cache: cacheUse() };
}

export function teardown({ cache }) {
  countCacheUse(cache);
}

export const handleSummary = summary({ ...plan, scenario: 'uniform' });
