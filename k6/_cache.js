// How many introspections the service answered out of its cache during a run, by its own counters at METRICS_URL.
//
// Rules: what was not measured is no pass; without METRICS_URL the run ends before it begins.

import http from 'k6/http';
import { Counter, Gauge } from 'k6/metrics';

import { stop } from './_preflight.js';
import { METRICS_URL } from './_settings.js';

const SERIES = 'token_cache_requests_total';
/** At most: tokens that are asked about in turn, twice as many as fit, are never found again. */
const HIT_SHARE = 0.05;
const UNMEASURED = { endpoint: 'metrics', name: 'metrics', measured: 'no', part: 'none' };

const lookups = new Counter('cache_lookups');
const hitShare = new Gauge('cache_hit_share');

/** The thresholds of a run that asks `asked` times, each of which must have been looked for in the cache. */
export function cacheThresholds(asked) {
  return { cache_lookups: [`count>=${Math.max(1, Math.floor(asked * 0.99))}`], cache_hit_share: [`value<${HIT_SHARE}`] };
}

/**
 * {hits, lookups, started} in the text of `/metrics`: all results of the cache, of which `hit` is one, and when the
 * process that tells them started.
 */
export function cacheUseIn(text) {
  const found = { hits: 0, lookups: 0, started: '' };
  for (const line of text.split('\n')) {
    if (line.startsWith('process_start_time_seconds ')) found.started = line;
    const sample = /^token_cache_requests_total\{([^}]*)\} (\S+)/.exec(line);
    if (sample === null) continue;
    found.lookups += Number(sample[2]);
    if (/(^|,)result="hit"/.test(sample[1])) found.hits += Number(sample[2]);
  }
  return found;
}

/** To be called by `setup` before all else. Ends the run where METRICS_URL is not set. */
export function needCounters() {
  if (METRICS_URL !== '') return;
  stop("METRICS_URL is not set: only the service's counters tell that its cache was of no use; give the /metrics of its one process");
}

/** The counters now. Ends the run where they are not to be had. */
export function cacheUse() {
  const response = http.get(METRICS_URL, { tags: UNMEASURED, timeout: '10s' });
  if (response.status !== 200 || !response.body.includes(SERIES)) {
    stop(`${METRICS_URL} answered ${response.status || response.error} and has no ${SERIES}: is METRICS_URL right?`);
  }
  return cacheUseIn(response.body);
}

/** To be called by `teardown` with what `cacheUse` said before. */
export function countCacheUse(before) {
  const after = cacheUse();
  if (after.started !== before.started) {
    stop(`${METRICS_URL} is another process than before the run: its counters say nothing of what the one before it answered`);
  }
  const asked = after.lookups - before.lookups;
  lookups.add(asked);
  hitShare.add(asked > 0 ? (after.hits - before.hits) / asked : 1);
}
