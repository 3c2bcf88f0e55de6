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
import { admissionBounds, emptyBound, isSpent, policyOf, WINDOW_SECONDS } from './_policy.js';
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
const LOOKED_AT = 60; // of the last requests, for each process that counts: they are spread over them

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

/** Sends until no more is admitted than is refilled. Returns the announced limit, in requests of one window. */
function spent() {
  waitUntil(() => isKnown(UNMEASURED, HEADERS));
  let quota = null;
  let sent = 0;
  for (;;) {
    const last = { admitted: 0, refused: 0, seconds: 0 };
    const began = Date.now();
    while (last.admitted + last.refused < LOOKED_AT * LIMITERS) {
      const refusal = sendBatch(last);
      if (refusal !== null && quota === null) quota = quotaOf(refusal);
    }
    last.seconds = (Date.now() - began) / 1000;
    if (quota !== null && isSpent(last, quota, LIMITERS)) return quota;
    sent += last.admitted + last.refused;
    if (sent > HOT_RATE * WINDOW_SECONDS * LIMITERS) stop(notSpent(sent, quota));
  }
}

/** Counts what came of one batch; one of its refusals, or null. */
function sendBatch(counted) {
  let refusal = null;
  for (const response of http.batch(Array(AT_ONCE).fill(REQUEST))) {
    if (response.status === 200) counted.admitted += 1;
    else if (response.status === 429) [refusal, counted.refused] = [response, counted.refused + 1];
    else stop(`HOT_CLIENT_ID got ${response.status || response.error}: check HOT_CLIENT_ID and HOT_CLIENT_SECRET`);
  }
  return refusal;
}

/** The limit that a refusal announces; ends the run where nothing could be measured of it. */
function quotaOf(refusal) {
  const policy = policyOf(refusal.headers);
  if (policy === null || policy.window !== WINDOW_SECONDS) {
    stop(`a 429 announced no limit of "client" for ${WINDOW_SECONDS} s in RateLimit-Policy`);
  }
  if (policy.quota >= HOT_RATE * WINDOW_SECONDS) {
    stop(`HOT_CLIENT_ID may send ${policy.quota} requests a minute: it needs a limit below HOT_RATE, ${HOT_RATE} a second`);
  }
  const why = emptyBound(most, HOT_RATE, policy.quota);
  if (why !== null) stop(why);
  return policy.quota;
}

function notSpent(sent, quota) {
  if (quota === null) {
    return `HOT_CLIENT_ID was not limited by ${sent} requests: it needs a limit below HOT_RATE, ${HOT_RATE} a second`;
  }
  return `after ${sent} requests HOT_CLIENT_ID is still let through more than LIMITERS=${LIMITERS} processes refill, each ${quota} a minute: more of them count for themselves`;
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
