// A hundred thousand tokens are alive while introspection and issuance go on.
// TOKENS (100000), RATE (500 introspections a second, and a fifth of that in issuances), two minutes after the filling.

import { ask, fill, issueOne, pool, settings } from './_pool.js';
import { preflight } from './_preflight.js';
import { summary } from './_summary.js';

export { ask, fill, issueOne };

const rate = settings.rate(500);
const plan = pool({ tokens: settings.tokens(100000), rate, issuance: Math.ceil(rate / 5) });
export const options = plan.options;

export function setup() {
  return preflight();
}

export const handleSummary = summary({ ...plan, scenario: 'live-tokens' });
