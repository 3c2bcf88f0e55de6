// What a limit that the service announces lets through (draft-ietf-httpapi-ratelimit-headers-11, section 4.1).

/** The service counts by the minute. */
export const WINDOW_SECONDS = 60;
/** What is refilled between the moment in which a client has spent all and the first request that is counted. */
const SLACK_SECONDS = 2;
/** How much more than its refill a process may seem to admit, by the moments at which its answers are looked at. */
const REFILL_MARGIN = 1.25;

/** {quota, window (seconds)} of the policy "client" in a response's RateLimit-Policy field; null where it has none. */
export function policyOf(headers) {
  const field = Object.entries(headers).find(([name]) => name.toLowerCase() === 'ratelimit-policy');
  const parameters = /"client"((?:;[a-z]+=[^;,]*)+)/.exec(field === undefined ? '' : field[1]);
  if (parameters === null) return null;
  const [quota, window] = ['q', 'w'].map((name) => new RegExp(`;${name}=(\\d+)`).exec(parameters[1]));
  return quota === null || window === null ? null : { quota: Number(quota[1]), window: Number(window[1]) };
}

/**
 * {least, most} of what a client that has spent its minute is let through in so many seconds, in multiples of what one
 * process refills in that time. `limiters` processes count for themselves, and some of them may not have been met before.
 */
export function admissionBounds(seconds, limiters) {
  const refilled = (seconds + SLACK_SECONDS) / seconds;
  return { least: 0.9 - 1 / seconds, most: limiters * refilled + (limiters - 1) * (WINDOW_SECONDS / seconds) };
}

/**
 * Whether a client has spent its minute at every process that it has met, by its last requests: {admitted, refused} of them
 * within `seconds`. Somebody refused it, and what was admitted is no more than `limiters` processes refill meanwhile.
 * A row of refusals says it only where the limit is far below what is asked.
 */
export function isSpent({ admitted, refused, seconds }, quota, limiters) {
  return refused > 0 && admitted <= limiters * (1 + REFILL_MARGIN * (quota / WINDOW_SECONDS) * seconds);
}

/**
 * Why the most that may be admitted (of `admissionBounds`) could not be exceeded by `rate` requests a second; null where
 * it could. A bound that nothing can cross proves nothing.
 */
export function emptyBound(most, rate, quota) {
  const asked = (rate * WINDOW_SECONDS) / quota;
  if (most < asked) return null;
  const needed = Math.ceil((most * quota) / WINDOW_SECONDS) + 1;
  return (
    `${rate} requests a second are ${asked.toFixed(1)} times the limit of ${quota} a minute, and ${most.toFixed(1)} times it ` +
    `may be let through: nothing could exceed that. Set LIMITERS to the number of processes that count for themselves, ` +
    `HOT_RATE to ${needed} or more, a lower limit for HOT_CLIENT_ID, or a higher DURATION_FACTOR`
  );
}
