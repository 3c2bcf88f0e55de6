// Many live tokens, each kept by the user that issued it: k6 shares nothing between users, and gives the users of an
// ended scenario to the next one.

import { introspect, issue } from './_oauth.js';
import { arrivals, options as planned } from './_plan.js';
import { count, scaled, stretched } from './_settings.js';

const UNMEASURED = { endpoint: 'fill', name: 'fill', measured: 'no', part: 'none' };
const ISSUED_AT_ONCE = 10;
/** From the end of the filling to the first question: k6 has every user back by then, or it would take new ones. */
const PAUSE_SECONDS = 2;
/** How many tokens more may be issued, by users that k6 makes later because all are busy: they ask about their own alone. */
const MORE = 1.05;
const SECONDS = 120;

const mine = [];

/**
 * A plan: first `tokens` are issued, then `rate` requests a second go on for two minutes, each about any of them; or
 * `inTurn`, about the one that was asked about longest ago, which a cache of fewer entries never has.
 */
export function pool({ tokens, rate, issuance, inTurn = false }) {
  // Not stretched: as many tokens as were asked for, in a short run too.
  const fillRate = Math.ceil(count('FILL_RATE', 1000) / ISSUED_AT_ONCE);
  const fillSeconds = Math.ceil(tokens / (fillRate * ISSUED_AT_ONCE));
  const mostIssued = Math.ceil((fillRate * fillSeconds + 1) * ISSUED_AT_ONCE * MORE);
  const asked = arrivals(inTurn ? 'askInTurn' : 'ask', rate, SECONDS);
  const scenarios = { asked: { ...asked, at: fillSeconds + PAUSE_SECONDS } };
  if (issuance > 0) scenarios.issuance = { ...arrivals('issueOne', issuance, SECONDS), at: fillSeconds + PAUSE_SECONDS };
  // As many as the others have together, and back before those start: they are all that there are. What lies with those who
  // issue meanwhile is alive, and nobody asks about it.
  const preAllocatedVUs = Object.values(scenarios).reduce((sum, one) => sum + one.preAllocatedVUs, 0);
  const filling = { ...arrivals('fill', fillRate, 1), preAllocatedVUs, seconds: fillSeconds };
  scenarios.filling = { ...filling, gracefulStop: `${PAUSE_SECONDS - 1}s` };
  const options = planned({
    scenarios,
    overallP95: 100,
    endpoints: {
      introspect: { p95: 50, failed: 0.001, atLeast: rate * stretched(SECONDS) * 0.99 },
      ...(issuance > 0 ? { issue: { p95: 100, failed: 0.001, atLeast: issuance * stretched(SECONDS) * 0.99 } } : {}),
    },
  });
  options.thresholds['http_reqs{endpoint:fill}'] = [`count>=${tokens}`, `count<=${mostIssued}`];
  options.thresholds['http_req_failed{endpoint:fill}'] = ['rate<0.001'];
  return { options, seconds: fillSeconds + PAUSE_SECONDS + stretched(SECONDS), measuredSeconds: stretched(SECONDS), asked: rate * stretched(SECONDS) };
}

export function fill() {
  for (let index = 0; index < ISSUED_AT_ONCE; index += 1) {
    const token = issue(UNMEASURED);
    if (token !== null) mine.push(token);
  }
}

function askAboutOne(choose) {
  if (mine.length === 0) fill(); // a user that came after the filling
  if (mine.length > 0) introspect(mine[choose(mine.length)]);
}

export function ask() {
  askAboutOne((tokens) => Math.floor(Math.random() * tokens));
}

let turn = 0;

export function askInTurn() {
  askAboutOne((tokens) => turn++ % tokens);
}

export function issueOne() {
  issue();
}

export const settings = { tokens: (usual) => count('TOKENS', usual), rate: (usual) => scaled(count('RATE', usual)) };
