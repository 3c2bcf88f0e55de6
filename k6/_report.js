// Reports of one run as text: Markdown, JUnit, CSV, and what all reports show. HTML is in _html.js.

import { PARTS } from './_plan.js';
import { value } from './_verdict.js';

const ENDPOINTS = ['introspect', 'issue', 'revoke'];

export function number(figure, digits = 1) {
  return figure === undefined || figure === null ? '–' : figure.toFixed(digits);
}

/** Figures of each endpoint that was asked. */
export function endpoints(data) {
  return ENDPOINTS.filter((name) => value(data, `http_reqs{endpoint:${name}}`, 'count') > 0).map((name) => {
    const duration = data.metrics[`http_req_duration{endpoint:${name}}`].values;
    return {
      endpoint: name,
      requests: value(data, `http_reqs{endpoint:${name}}`, 'count'),
      failed: value(data, `http_req_failed{endpoint:${name}}`, 'rate'),
      p50_ms: duration.med,
      p95_ms: duration['p(95)'],
      p99_ms: duration['p(99)'],
      max_ms: duration.max,
    };
  });
}

/** Figures of each part of the run, in order. */
export function parts(data, seconds) {
  return Array.from({ length: PARTS }, (_, index) => ({
    at: (index * seconds) / PARTS,
    rate: (value(data, `http_reqs{part:${index}}`, 'count') * PARTS) / seconds,
    p95: value(data, `http_req_duration{part:${index}}`, 'p(95)'),
    failed: value(data, `http_req_failed{part:${index}}`, 'rate'),
  }));
}

function table(head, rows) {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

export function endpointRows(run) {
  return run.endpoints.map((e) => [
    e.endpoint,
    String(e.requests),
    `${number(e.failed * 100, 2)} %`,
    ...[e.p50_ms, e.p95_ms, e.p99_ms, e.max_ms].map((ms) => `${number(ms)} ms`),
  ]);
}

export const ENDPOINT_HEAD = ['endpoint', 'requests', 'failed', 'p50', 'p95', 'p99', 'longest'];
export const CHECK_HEAD = ['check', 'limit', 'figure', ''];
export const STEP_HEAD = ['asked for/s', 'served/s', 'p50', 'p95', 'p99', 'failed', 'held'];

export function checkRows(run) {
  return run.checks.map(({ metric, limit, figure, ok }) => [metric, limit, number(figure, 3), ok ? 'pass' : 'FAIL']);
}

export function stepRows(run) {
  return run.steps.map((s) => [
    String(s.rate),
    number(s.served, 0),
    ...[s.p50, s.p95, s.p99].map((ms) => `${number(ms)} ms`),
    `${number(s.failed * 100, 2)} %`,
    s.held ? 'yes' : 'NO',
  ]);
}

export function generatorSentence(run) {
  if (run.generator === null) return '';
  const { requests_per_second: can, needed } = run.generator;
  return can === null
    ? 'The generator was not measured: set CALIBRATION_URL to a constant responder that answers 200.'
    : `The generator alone was asked for ${number(needed, 0)} requests/s, twice the rate, and reached ${number(can, 0)}.`;
}

export function capacitySentence(run) {
  if (run.capacity === null) return '';
  const { requests_per_second: held, broke_at: broke } = run.capacity;
  if (broke === null) {
    return `Capacity: at least ${held} requests/s, the highest step, which held. The breaking point was not reached: raise STEPS, FIRST_RATE or GROWTH.`;
  }
  const most = held > 0 ? `${held} requests/s, the highest step that held` : 'unknown, for not even the first step held';
  return `Capacity: ${most}. The breaking point was reached at ${broke}.`;
}

export function markdown(run) {
  const lines = [
    `# Load test ${run.scenario}: ${run.verdict}`,
    '',
    `Run ${run.run_id} against ${run.base_url}, ${number(run.seconds, 0)} s.`,
    generatorSentence(run),
    capacitySentence(run),
    '',
    table(ENDPOINT_HEAD, endpointRows(run)),
    '',
    table(CHECK_HEAD, checkRows(run)),
  ];
  if (run.steps.length > 0) lines.push('', table(STEP_HEAD, stepRows(run)));
  return lines.join('\n') + '\n';
}

export function csv(run) {
  const capacity = run.capacity === null ? ['', ''] : [run.capacity.requests_per_second, run.capacity.broke ? 'reached' : 'not reached'];
  const rows = [['endpoint', 'requests', 'failed', 'p50_ms', 'p95_ms', 'p99_ms', 'max_ms', 'capacity_per_second', 'breaking_point']];
  for (const e of run.endpoints) rows.push([...Object.values(e), ...capacity].map(String));
  return rows.map((cells) => cells.join(',')).join('\n') + '\n';
}

export function escaped(text) {
  return String(text).replace(/[&<>"]/g, (sign) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[sign]);
}

function properties({ requests_per_second: held, broke }) {
  const found = { capacity_per_second: held, breaking_point: broke ? 'reached' : 'not reached' };
  const lines = Object.entries(found).map(([name, is]) => `<property name="${name}" value="${is}"/>`);
  return `  <properties>${lines.join('')}</properties>\n`;
}

export function junit(run) {
  const failures = run.checks.filter(({ ok }) => !ok).length + (run.verdict === 'pass' ? 0 : 1);
  const cases = run.checks.map(({ metric, limit, figure, ok }) => {
    const name = escaped(`${metric} ${limit}`);
    const inner = ok ? '' : `<failure message="${escaped(`measured ${number(figure, 3)}`)}"/>`;
    return `  <testcase classname="${escaped(run.scenario)}" name="${name}">${inner}</testcase>`;
  });
  // Of its own: a run whose generator was too slow, or never measured, has no check that failed.
  const why = [`${run.verdict}:`, generatorSentence(run), capacitySentence(run)].filter((part) => part !== '').join(' ');
  const inner = run.verdict === 'pass' ? '' : `<failure message="${escaped(why)}"/>`;
  cases.push(`  <testcase classname="${escaped(run.scenario)}" name="verdict">${inner}</testcase>`);
  return (
    `<?xml version="1.0" encoding="UTF-8"?>\n` +
    `<testsuite name="${escaped(run.scenario)}" tests="${cases.length}" failures="${failures}">\n` +
    (run.capacity === null ? '' : properties(run.capacity)) +
    `${cases.join('\n')}\n</testsuite>\n`
  );
}
