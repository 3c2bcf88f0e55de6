// The requests of a client, each tagged with its endpoint and checked for a right answer, not only for a fast one.
//
// Rules:
// - An answer that is wrong (an active token called inactive, a body that is no token) counts in `wrong_answers`.
// - Refusals (4xx, 5xx, no answer) count in `http_req_failed`, never in `wrong_answers`.
// - A 429 ends the run with the setting to change: a limiter's refusals measure nothing but the limiter. Only one about
//   failed authentications does not: it is met while a cluster makes the client known.
// - Tagged CALIBRATION, the same requests go to the constant responder and their answers are looked at in the same way,
//   so that they cost k6 what the run's do; what those answers say counts nowhere.

import encoding from 'k6/encoding';
import exec from 'k6/execution';
import http from 'k6/http';
import { Counter, Trend } from 'k6/metrics';

import { BASE_URL, CALIBRATION_URL, CLIENT_ID, CLIENT_SECRET } from './_settings.js';
import { part } from './_plan.js';

export const wrongAnswers = new Counter('wrong_answers');
/** Failures that do not say when to come again: no answer, a 5xx, a 503 without Retry-After. */
const failedOtherwise = new Counter('failed_otherwise');
/** When requests failed, in milliseconds of the run: between the first and the last lies the outage. */
const failedAt = new Trend('failed_at');

export const TOO_MANY =
  'the service answered 429: the rate limit is below what this run asks for. Give the load test client of its own ' +
  '`rate_limit_per_minute: unlimited` in the clients file, or raise RATE_LIMIT_REQUESTS_PER_MINUTE';

const URLS = {
  issue: `${BASE_URL}/oauth/token`,
  introspect: `${BASE_URL}/oauth/introspect`,
  revoke: `${BASE_URL}/oauth/revoke`,
};
export const CALIBRATION = { endpoint: 'calibration', name: 'calibration', measured: 'no', part: 'none' };

/** The headers of a client's request. RFC 6749 section 2.3.1: both halves are form-encoded before they are joined. */
export function headersOf(id, secret) {
  const joined = `${formEncoded(id)}:${formEncoded(secret)}`;
  return { Authorization: `Basic ${encoding.b64encode(joined)}`, 'Content-Type': 'application/x-www-form-urlencoded' };
}

/** RFC 6749 appendix B: a space is a plus sign, and what encodeURIComponent leaves alone beyond `*-._` is encoded. */
export function formEncoded(text) {
  return encodeURIComponent(text)
    .replace(/[!'()~]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`)
    .replace(/%20/g, '+');
}

const HEADERS = headersOf(CLIENT_ID, CLIENT_SECRET);

function post(endpoint, body, tags) {
  const now = tags === undefined || tags === CALIBRATION ? part() : 'none'; // `setup` has no scenario
  const response = http.post(tags === CALIBRATION ? CALIBRATION_URL : URLS[endpoint], body, {
    headers: HEADERS,
    timeout: '10s',
    tags: Object.assign({ endpoint, name: endpoint, measured: 'yes', part: now }, tags),
  });
  if (tags === CALIBRATION) return response;
  if (response.status === 429 && !forFailures(response)) exec.test.abort(TOO_MANY);
  if (response.status === 0 || response.status >= 500) {
    failedAt.add(exec.instance.currentTestRunDuration, tags);
    if (response.status !== 503 || !response.headers['Retry-After']) failedOtherwise.add(1, { endpoint });
  }
  return response;
}

/** Whether a 429 is about failed authentications: a client that the service does not know yet is told so after a few. */
function forFailures(response) {
  return (response.headers['Ratelimit-Policy'] || '').startsWith('"failure"');
}

const AT_ONCE = 12; // k6 opens six connections to a host for them, which a cluster spreads over its pods

/** Whether all that answer know the client of these headers (the run's own by default), or refuse it by its limit alone. */
export function isKnown(tags, headers = HEADERS) {
  const one = { method: 'POST', url: URLS.introspect, body: 'token=x', params: { headers, tags, timeout: '5s' } };
  const known = (response) => response.status === 200 || (response.status === 429 && !forFailures(response));
  return http.batch(Array(AT_ONCE).fill(one)).every(known);
}

function wrong(endpoint, tags) {
  if (tags !== CALIBRATION) wrongAnswers.add(1, { endpoint });
}

/** A fresh access token; null where it was refused. */
export function issue(tags) {
  const response = post('issue', 'grant_type=client_credentials', tags);
  if (response.status !== 200) return null;
  const answer = parsed(response);
  if (answer === null || !answer.access_token || answer.token_type !== 'Bearer') {
    wrong('issue', tags);
    return null;
  }
  return answer.access_token;
}

/** Whether a token is active; null where that was not answered. `expected` is what it must be. */
export function introspect(token, expected = true, tags = undefined) {
  const response = post('introspect', `token=${token}`, tags);
  if (response.status !== 200) return null;
  // Looked for in the text: parsing thousands of answers a second would measure k6.
  const active = response.body.includes('"active":true');
  if (active !== expected || (!active && !response.body.includes('"active":false'))) wrong('introspect', tags);
  return active;
}

/** Whether the revocation was accepted. */
export function revoke(token, tags) {
  const response = post('revoke', `token=${token}`, tags);
  return response.status === 200;
}

function parsed(response) {
  try {
    return response.json();
  } catch (_) {
    return null;
  }
}
