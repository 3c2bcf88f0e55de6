// One client asks far more than its limit while another goes on as usual: the first is slowed down to its limit, the
// second sees nothing of it. CLIENT_ID and CLIENT_SECRET are the quiet client; HOT_CLIENT_ID and HOT_CLIENT_SECRET the
// other, with a limit below HOT_RATE (400 a second).
//
// First the hot client spends what it may send at once. From then on the service may admit what its RateLimit-Policy
// announces, as often as there are processes that count for themselves (LIMITERS, 1), and must admit about as much.

import http from 'k6/http';
import { Counter } from 'k6/metrics';

import { headersOf, introspect, isKnown } from './_oauth.js';
import { arrivals, options as planned } from './_plan.js';
import { admissionBounds, policyOf, WINDOW_SECONDS } from './_policy.js';
import { preflight, stop, waitUntil } from './_preflight.js';
import { BASE_URL, count, scaled, stretched, textOrFile } from './_settings.js';
import { summary } from './_summary.js';

const QUIET_RATE = scaled(50);
const HOT_RATE = scaled(count('HOT_RATE', 400));
const LIMITERS = count('LIMITERS', 1);
const SECONDS = 60;
const HEADERS = headersOf(textOrFile('HOT_CLIENT_ID'), textOrFile('HOT_CLIENT_SECRET'));
const UNMEASURED = { endpoint: 'hot', name: 'hot', measured: 'no', part: 'none' };
const AT_ONCE = 20;
const REFUSED_IN_A_ROW = 60; // for each process that counts: requests are spread over them

/** Admitted requests, as multiples of what one process may admit in the time of the run. */
const admitted = new Counter('hot_admitted');
const limited = new Counter('limited_requests');
const limitedWithoutRetryAfter = new Counter('limited_without_retry_after');
const otherwise = new Counter('hot_answered_otherwise');

export const options = planned({
  scenarios: { quiet: arrivals('quiet', QUIET_RATE, SECONDS), hot: arrivals('hot', HOT_RATE, SECONDS) },
  endpoints: { introspect: { p95: 50, failed: 0.00001, atLeast: QUIET_RATE * stretched(SECONDS) * 0.99 } },
});
const { least, most } = admissionBounds(stretched(SECONDS), LIMITERS);
options.thresholds.hot_admitted = [`count>=${least}`, `count<=${most}`];
options.thresholds.limited_requests = ['count>0'];
options.thresholds.limited_without_retry_after = ['count==0'];
options.thresholds.hot_answered_otherwise = ['count==0'];

const REQUEST = {
  method: 'POST',
  url: `${BASE_URL}/oauth/introspect`,
  body: 'token=x',
  params: { headers: HEADERS, responseCallback: http.expectedStatuses(200, 429), tags: UNMEASURED, timeout: '10s' },
};

export function setup() {
  return { ...preflight(), quota: spent() };
}

/** Sends until nothing more is admitted at once. Returns the announced limit, in requests of one window. */
function spent() {
  waitUntil(() => isKnown(UNMEASURED, HEADERS));
  let [policy, row] = [null, 0];
  for (let sent = 0; row < REFUSED_IN_A_ROW * LIMITERS; sent += AT_ONCE) {
    if (sent > HOT_RATE * WINDOW_SECONDS * LIMITERS) {
      stop(`HOT_CLIENT_ID was not limited by ${sent} requests: it needs a limit below HOT_RATE, ${HOT_RATE} a second`);
    }
    for (const response of http.batch(Array(AT_ONCE).fill(REQUEST))) {
      if (response.status !== 200 && response.status !== 429) {
        stop(`HOT_CLIENT_ID got ${response.status || response.error}: check HOT_CLIENT_ID and HOT_CLIENT_SECRET`);
      }
      row = response.status === 429 ? row + 1 : 0;
      if (response.status === 429) policy = policyOf(response.headers);
    }
  }
  if (policy === null || policy.window !== WINDOW_SECONDS) {
    stop(`a 429 announced no limit of "client" for ${WINDOW_SECONDS} s in RateLimit-Policy`);
  }
  if (policy.quota >= HOT_RATE * WINDOW_SECONDS) {
    stop(`HOT_CLIENT_ID may send ${policy.quota} requests a minute: it needs a limit below HOT_RATE, ${HOT_RATE} a second`);
  }
  return policy.quota;
}

export function quiet({ token }) {
  introspect(token);
}

export function hot({ quota }) {
  const response = http.post(REQUEST.url, REQUEST.body, REQUEST.params);
  if (response.status === 200 && response.body.includes('"active":')) {
    admitted.add(WINDOW_SECONDS / (quota * stretched(SECONDS)));
  } else if (response.status === 429) {
    limited.add(1);
    if (!(Number(response.headers['Retry-After']) > 0)) limitedWithoutRetryAfter.add(1);
  } else {
    otherwise.add(1);
  }
}

export const handleSummary = summary({ scenario: 'hot-client', seconds: stretched(SECONDS) });
