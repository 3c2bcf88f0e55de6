// From k6's figures to a verdict: each check with its limit and its figure, and one word. The first that is true:
//
//   fail               a check does not hold, or the first step of a capacity run: whatever k6 had left
//   not calibrated     a run about a rate without a constant responder that works: nothing is known of the headroom
//   generator limited  k6 itself does not reach twice the rate: what was measured may be k6
//   not reached        a capacity run of which every step held: the capacity is more than was asked for
//   pass               every check holds

import { CALIBRATION_SECONDS, CALIBRATIONS, CALIBRATIONS_FAILED, CALIBRATIONS_MAY_FAIL, HEADROOM, leastCalibrations } from './_plan.js';

/** Parts of the checks that hold for everything only keep figures (see _plan.js). */
const ONLY_KEEPS = ['max>=0', 'count>=0', 'rate>=0'];

/** What a threshold of k6 is about, and its figure: [{metric, limit, figure, ok}]. Those about k6 itself are left out. */
export function checks(data) {
  const found = [];
  for (const [metric, { thresholds, values }] of Object.entries(data.metrics)) {
    if (metric === CALIBRATIONS || metric === CALIBRATIONS_FAILED) continue;
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

/** The rate of the last step before the first that broke, and of that one; null without steps. */
export function capacityOf(steps) {
  if (steps.length === 0) return null;
  const broken = steps.findIndex((step) => !step.held);
  const held = broken < 0 ? steps : steps.slice(0, broken);
  return {
    requests_per_second: held.length > 0 ? held[held.length - 1].rate : 0,
    broke: broken >= 0,
    broke_at: broken < 0 ? null : steps[broken].rate,
  };
}

/** What k6 reached by itself, up to the twice that was asked of it; null where the run is not about a rate. */
export function generatorOf(data, calibratedFor) {
  if (calibratedFor === undefined) return null;
  const reached = value(data, CALIBRATIONS, 'count');
  const works = reached > 0 && value(data, CALIBRATIONS_FAILED, 'rate') < CALIBRATIONS_MAY_FAIL;
  return { requests_per_second: works ? reached / CALIBRATION_SECONDS : null, needed: calibratedFor * HEADROOM };
}

/** plan: {scenario, steps, calibratedFor (the highest rate of a run about a rate)}. */
export function judge(data, plan) {
  const found = checks(data);
  const steps = stepsOf(data, plan.steps || []);
  const capacity = capacityOf(steps);
  const generator = generatorOf(data, plan.calibratedFor);
  let verdict = 'pass';
  if (!found.every(({ ok }) => ok) || (capacity !== null && capacity.requests_per_second === 0)) verdict = 'fail';
  else if (generator !== null && generator.requests_per_second === null) verdict = 'not calibrated';
  else if (generator !== null && value(data, CALIBRATIONS, 'count') < leastCalibrations(plan.calibratedFor)) verdict = 'generator limited';
  else if (capacity !== null && !capacity.broke) verdict = 'not reached';
  return { verdict, checks: found, steps, capacity, generator };
}
