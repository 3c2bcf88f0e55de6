// What a limit that the service announces lets through (draft-ietf-httpapi-ratelimit-headers-11, section 4.1).

/** The service counts by the minute. */
export const WINDOW_SECONDS = 60;
/** What is refilled between the moment in which a client has spent all and the first request that is counted. */
const SLACK_SECONDS = 2;

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
