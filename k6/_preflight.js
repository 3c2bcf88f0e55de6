// Before the first measured request: is this the right service, and do the credentials work? A run that cannot measure
// what it is about stops here, and says which setting to change. A limiter in the way is met later: the service tells a
// limit to who has met it alone, and the first 429 ends the run (_oauth.js).

import { sleep } from 'k6';
import exec from 'k6/execution';
import http from 'k6/http';

import { introspect, isKnown, issue } from './_oauth.js';
import { BASE_URL, CLIENT_ID, WAIT_SECONDS } from './_settings.js';

const BURST = 20;
const LOOK_SECONDS = 5;
const UNMEASURED = { endpoint: 'preflight', name: 'preflight', measured: 'no', part: 'none' };

/** End the run before it measures. */
export function stop(why) {
  exec.test.abort(`preflight: ${why}`);
  throw new Error(why);
}

/** To be called by `setup`. Returns an active token. */
export function preflight() {
  const tags = UNMEASURED;
  waitUntil(() => http.get(`${BASE_URL}/health/ready`, { tags, timeout: '5s' }).status === 200 && isKnown(tags));
  const ready = http.get(`${BASE_URL}/health/ready`, { tags, timeout: '5s' });
  if (ready.status !== 200) stop(`${BASE_URL}/health/ready answered ${ready.status || ready.error}: is BASE_URL right?`);
  let token = null;
  for (let index = 0; index < BURST; index += 1) {
    token = issue(tags);
    if (token === null) stop(`no token for client ${CLIENT_ID}: check CLIENT_ID, CLIENT_SECRET and its grants`);
  }
  if (introspect(token, true, tags) !== true) stop(`client ${CLIENT_ID} may not introspect its own tokens`);
  return { token };
}

/** For WAIT_SECONDS at most: a cluster takes a while to be ready and to make a client known. */
export function waitUntil(holds) {
  for (let left = WAIT_SECONDS; left > 0 && !holds(); left -= LOOK_SECONDS) sleep(Math.min(left, LOOK_SECONDS));
}
