// What a run is told by its environment. Every script takes these; k6/README.md describes them.
//
// Rules: a wrong value stops the run before the first request, and says what is allowed.

function text(name, fallback) {
  const value = (__ENV[name] || '').trim();
  if (value !== '') return value;
  if (fallback === undefined) throw new Error(`${name} is not set: k6 run -e ${name}=... (k6/README.md)`);
  return fallback;
}

/** A value, or the content of the file that NAME_FILE names: what the environment has, others of the machine may read. */
export function textOrFile(name) {
  const file = (__ENV[`${name}_FILE`] || '').trim();
  return file === '' ? text(name) : open(file).trim();
}

function positive(name, fallback) {
  const value = Number(text(name, String(fallback)));
  if (!(value > 0 && Number.isFinite(value))) throw new Error(`${name} must be a number above 0`);
  return value;
}

export const BASE_URL = text('BASE_URL', 'http://127.0.0.1:8080').replace(/\/+$/, '');
export const CLIENT_ID = textOrFile('CLIENT_ID');
export const CLIENT_SECRET = textOrFile('CLIENT_SECRET');
export const RUN_ID = text('RUN_ID', 'local');
/** Where reports go; empty for none: the verdict is printed in any case. */
export const REPORT_DIR = text('REPORT_DIR', '').replace(/\/+$/, '');
/** Stands before the reports' names, where several runs share a folder. */
export const REPORT_PREFIX = text('REPORT_PREFIX', '');
/** `on`: the reports are printed as well, for a runner whose files nobody can fetch. */
export const REPORT_IN_LOG = choice('REPORT_IN_LOG', ['off', 'on']) === 'on';
/** A server that answers the same to everything; empty for none. Runs about a rate measure k6 itself against it. */
export const CALIBRATION_URL = text('CALIBRATION_URL', '');
/** The service's `/metrics`; empty where it is not known. */
export const METRICS_URL = text('METRICS_URL', '');
export const DURATION_FACTOR = positive('DURATION_FACTOR', 1);
export const RATE_FACTOR = positive('RATE_FACTOR', 1);
/** How long the run waits for the service and for its client, which a cluster takes a while to make known. */
export const WAIT_SECONDS = Number(text('WAIT_SECONDS', '0'));
if (!(WAIT_SECONDS >= 0)) throw new Error('WAIT_SECONDS must be a number of seconds');
export const MAX_VUS = Math.ceil(positive('MAX_VUS', 1000));

/** Seconds of the plan, as this run stretches or shortens them. */
export function stretched(seconds) {
  return Math.max(1, Math.round(seconds * DURATION_FACTOR));
}

/** Requests per second of the plan, as this run raises or lowers them. */
export function scaled(rate) {
  return Math.max(1, Math.round(rate * RATE_FACTOR));
}

/** One of several names; the first is the default. */
export function choice(name, allowed) {
  const value = text(name, allowed[0]);
  if (!allowed.includes(value)) throw new Error(`${name}=${value}: must be one of ${allowed.join(', ')}`);
  return value;
}

export function count(name, fallback) {
  const value = positive(name, fallback);
  if (!Number.isInteger(value)) throw new Error(`${name} must be a whole number above 0`);
  return value;
}
