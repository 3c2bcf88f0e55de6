// Before the first measured request: is this the right service, do the credentials work, and is the limiter out of
// the way? A run that cannot measure what it is about stops here, and says which setting to change.

import { sleep } from 'k6';
import exec from 'k6/execution';
import http from 'k6/http';

import { issue, introspect, TOO_MANY } from './_oauth.js';
import { BASE_URL, CALIBRATION_URL, CLIENT_ID, WAIT_SECONDS } from './_settings.js';

const BURST = 20;
const LOOK_SECONDS = 5;
const UNMEASURED = { endpoint: 'preflight', name: 'preflight', measured: 'no', part: 'none' };

function stop(why) {
  exec.test.abort(`preflight: ${why}`);
  throw new Error(why);
}

/** To be called by `setup`. Returns an active token. `perSecond`: the most requests a second that the run will send. */
export function preflight(perSecond) {
  const tags = UNMEASURED;
  for (let left = WAIT_SECONDS; left > 0 && !serves(tags); left -= LOOK_SECONDS) sleep(Math.min(left, LOOK_SECONDS));
  const ready = http.get(`${BASE_URL}/health/ready`, { tags, timeout: '5s' });
  if (ready.status !== 200) stop(`${BASE_URL}/health/ready answered ${ready.status || ready.error}: is BASE_URL right?`);
  let token = null;
  for (let index = 0; index < BURST; index += 1) {
    token = issue(tags);
    if (token === null) stop(`no token for client ${CLIENT_ID}: check CLIENT_ID, CLIENT_SECRET and its grants`);
  }
  if (introspect(token, true, tags) !== true) stop(`client ${CLIENT_ID} may not introspect its own tokens`);
  const limit = announcedLimit(tags);
  if (limit !== null && limit < perSecond * 60) {
    stop(`the client may send ${limit} requests a minute and the run sends ${perSecond * 60}; ${TOO_MANY}`);
  }
  return { token };
}

/** Whether the service is there and knows the client. */
function serves(tags) {
  return http.get(`${BASE_URL}/health/ready`, { tags, timeout: '5s' }).status === 200 && issue(tags) !== null;
}

/** Requests a minute by the RateLimit-Policy field, if the service sends one. */
function announcedLimit(tags) {
  const response = http.post(`${BASE_URL}/oauth/introspect`, 'token=x', { tags, timeout: '5s' });
  const policy = response.headers['Ratelimit-Policy'] || response.headers['RateLimit-Policy'] || '';
  const quota = /"client"[^,]*;q=(\d+)/.exec(policy);
  const window = /"client"[^,]*;w=(\d+)/.exec(policy);
  return quota === null || window === null ? null : (Number(quota[1]) * 60) / Number(window[1]);
}

/** One request to the constant responder: how fast this generator can be at all. */
export function calibrate() {
  http.post(CALIBRATION_URL, 'token=calibration', {
    tags: { endpoint: 'calibration', name: 'calibration', measured: 'no', part: 'none' },
    headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
  });
}
