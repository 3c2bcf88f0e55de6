// One client asks far more than its limit while another goes on as usual: the first is slowed down, the second sees
// nothing of it. CLIENT_ID and CLIENT_SECRET are the quiet client; HOT_CLIENT_ID and HOT_CLIENT_SECRET the other, with
// a limit below HOT_RATE (400 a second).

import encoding from 'k6/encoding';
import http from 'k6/http';
import { Counter } from 'k6/metrics';

import { introspect } from './_oauth.js';
import { arrivals, options as planned } from './_plan.js';
import { preflight } from './_preflight.js';
import { BASE_URL, count, scaled, stretched } from './_settings.js';
import { summary } from './_summary.js';

if (!__ENV.HOT_CLIENT_ID || !__ENV.HOT_CLIENT_SECRET) {
  throw new Error('HOT_CLIENT_ID and HOT_CLIENT_SECRET are not set: the client that meets its limit');
}
const QUIET_RATE = scaled(50);
const HOT_RATE = scaled(count('HOT_RATE', 400));
const SECONDS = 60;
const AUTHORIZATION = 'Basic ' + encoding.b64encode(`${__ENV.HOT_CLIENT_ID}:${__ENV.HOT_CLIENT_SECRET}`);
const UNMEASURED = { endpoint: 'hot', name: 'hot', measured: 'no', part: 'none' };

const limited = new Counter('limited_requests');
const limitedWithoutRetryAfter = new Counter('limited_without_retry_after');

export const options = planned({
  scenarios: { quiet: arrivals('quiet', QUIET_RATE, SECONDS), hot: arrivals('hot', HOT_RATE, SECONDS) },
  endpoints: { introspect: { p95: 50, failed: 0.00001, atLeast: QUIET_RATE * stretched(SECONDS) * 0.99 } },
});
options.thresholds.limited_requests = ['count>0'];
options.thresholds.limited_without_retry_after = ['count==0'];

export function setup() {
  return preflight(QUIET_RATE);
}

export function quiet({ token }) {
  introspect(token);
}

export function hot() {
  const response = http.post(`${BASE_URL}/oauth/introspect`, 'token=x', {
    headers: { Authorization: AUTHORIZATION, 'Content-Type': 'application/x-www-form-urlencoded' },
    responseCallback: http.expectedStatuses(200, 429),
    tags: UNMEASURED,
  });
  if (response.status === 429) {
    limited.add(1);
    if (!(Number(response.headers['Retry-After']) > 0)) limitedWithoutRetryAfter.add(1);
  }
}

export const handleSummary = summary({ scenario: 'hot-client', seconds: stretched(SECONDS), peak: QUIET_RATE });
