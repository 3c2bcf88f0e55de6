// Every introspection asks about another token, far more of them than a cache holds: the store answers, not the cache.
// TOKENS (20000), RATE (500 introspections a second), two minutes after the filling.

import { ask, fill, issueOne, pool, settings } from './_pool.js';
import { preflight } from './_preflight.js';
import { summary } from './_summary.js';

export { ask, fill, issueOne };

const plan = pool({ tokens: settings.tokens(20000), rate: settings.rate(500), issuance: 0 });
export const options = plan.options;

export function setup() {
  return preflight(plan.peak);
}

export const handleSummary = summary({ ...plan, scenario: 'uniform' });
