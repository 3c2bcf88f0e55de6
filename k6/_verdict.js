// From k6's figures to a verdict: each check with its limit and its figure, and one word.
//
//   pass               every check holds
//   fail               one does not
//   generator limited  k6 itself had less than twice the headroom: what was measured is k6, whatever the checks say
//   not calibrated     a capacity run without CALIBRATION_URL: nothing is known of the headroom

import { CALIBRATION_SECONDS } from './_plan.js';
import { CALIBRATION_URL } from './_settings.js';

export const HEADROOM = 2;

/** Parts of the checks that hold for everything only keep figures (see _plan.js). */
const ONLY_KEEPS = ['max>=0', 'count>=0', 'rate>=0'];

/** What a threshold of k6 is about, and its figure: [{metric, limit, figure, ok}]. */
export function checks(data) {
  const found = [];
  for (const [metric, { thresholds, values }] of Object.entries(data.metrics)) {
    for (const [limit, { ok }] of Object.entries(thresholds || {})) {
      if (!ONLY_KEEPS.includes(limit)) found.push({ metric, limit, figure: figureOf(limit, values), ok });
    }
  }
  return found.sort((a, b) => a.metric.localeCompare(b.metric));
}

function figureOf(limit, values) {
  const name = /^[a-z]+(\([0-9.]+\))?/.exec(limit)[0];
  return values[name];
}

export function value(data, metric, name) {
  const found = data.metrics[metric];
  return found === undefined ? 0 : found.values[name] || 0;
}

/** One line of a capacity run for each step: rate asked for, rate served, latency, whether it held. */
export function stepsOf(data, steps) {
  return steps.map(({ name, rate, seconds, p95 }) => {
    const served = value(data, `http_reqs{scenario:${name}}`, 'count') / seconds;
    const dropped = value(data, `dropped_iterations{scenario:${name}}`, 'count');
    const latency = value(data, `http_req_duration{scenario:${name}}`, 'p(95)');
    const failed = value(data, `http_req_failed{scenario:${name}}`, 'rate');
    return {
      name,
      rate,
      served,
      p50: value(data, `http_req_duration{scenario:${name}}`, 'med'),
      p95: latency,
      p99: value(data, `http_req_duration{scenario:${name}}`, 'p(99)'),
      failed,
      dropped,
      held: served > 0 && latency < p95 && failed < 0.001 && dropped < rate * seconds * 0.001,
    };
  });
}

/** plan: {scenario, steps, peak (requests a second the run asks for), capacity}. */
export function judge(data, plan) {
  const found = checks(data);
  const steps = stepsOf(data, plan.steps || []);
  let reached = plan.peak;
  let capacity = null;
  if (steps.length > 0) {
    const broken = steps.findIndex((step) => !step.held);
    const held = broken < 0 ? steps : steps.slice(0, broken);
    capacity = { requests_per_second: held.length > 0 ? held[held.length - 1].rate : 0, broke: broken >= 0 };
    reached = Math.max(...steps.map((step) => step.served), 1);
  }
  const generator = {
    requests_per_second: value(data, 'http_reqs{endpoint:calibration}', 'count') / CALIBRATION_SECONDS || null,
    needed: reached * HEADROOM,
  };
  let verdict = found.every(({ ok }) => ok) ? 'pass' : 'fail';
  if (plan.capacity && verdict !== 'fail' && CALIBRATION_URL === '') verdict = 'not calibrated';
  if (plan.capacity && generator.requests_per_second !== null && generator.requests_per_second < generator.needed) {
    verdict = 'generator limited';
  }
  if (capacity !== null && verdict === 'pass' && capacity.requests_per_second === 0) verdict = 'fail';
  return { verdict, checks: found, steps, capacity, generator: plan.capacity ? generator : null };
}
