// Reports of one run as text: Markdown, HTML with charts (one file, nothing fetched), JUnit, CSV.

import { PARTS } from './_plan.js';
import { value } from './_verdict.js';

const ENDPOINTS = ['introspect', 'issue', 'revoke'];

function number(figure, digits = 1) {
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

function endpointRows(run) {
  return run.endpoints.map((e) => [
    e.endpoint,
    String(e.requests),
    `${number(e.failed * 100, 2)} %`,
    ...[e.p50_ms, e.p95_ms, e.p99_ms, e.max_ms].map((ms) => `${number(ms)} ms`),
  ]);
}

const ENDPOINT_HEAD = ['endpoint', 'requests', 'failed', 'p50', 'p95', 'p99', 'longest'];
const CHECK_HEAD = ['check', 'limit', 'figure', ''];
const STEP_HEAD = ['asked for/s', 'served/s', 'p50', 'p95', 'p99', 'failed', 'held'];

function checkRows(run) {
  return run.checks.map(({ metric, limit, figure, ok }) => [metric, limit, number(figure, 3), ok ? 'pass' : 'FAIL']);
}

function stepRows(run) {
  return run.steps.map((s) => [
    String(s.rate),
    number(s.served, 0),
    ...[s.p50, s.p95, s.p99].map((ms) => `${number(ms)} ms`),
    `${number(s.failed * 100, 2)} %`,
    s.held ? 'yes' : 'NO',
  ]);
}

function generatorSentence(run) {
  if (run.generator === null) return '';
  const { requests_per_second: can, needed } = run.generator;
  return can === null
    ? 'The generator was not measured: set CALIBRATION_URL to a constant responder.'
    : `The generator alone reaches ${number(can, 0)} requests/s; ${number(needed, 0)} are needed for twice the headroom.`;
}

export function markdown(run) {
  const lines = [
    `# Load test ${run.scenario}: ${run.verdict}`,
    '',
    `Run ${run.run_id} against ${run.base_url}, ${number(run.seconds, 0)} s.`,
    generatorSentence(run),
    '',
    table(ENDPOINT_HEAD, endpointRows(run)),
    '',
    table(CHECK_HEAD, checkRows(run)),
  ];
  if (run.steps.length > 0) lines.push('', table(STEP_HEAD, stepRows(run)));
  return lines.join('\n') + '\n';
}

export function csv(run) {
  const rows = [['endpoint', 'requests', 'failed', 'p50_ms', 'p95_ms', 'p99_ms', 'max_ms']];
  for (const e of run.endpoints) rows.push(Object.values(e).map(String));
  return rows.map((cells) => cells.join(',')).join('\n') + '\n';
}

function escaped(text) {
  return String(text).replace(/[&<>"]/g, (sign) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[sign]);
}

export function junit(run) {
  const failures = run.checks.filter(({ ok }) => !ok).length + (run.verdict === 'generator limited' ? 1 : 0);
  const cases = run.checks.map(({ metric, limit, figure, ok }) => {
    const name = escaped(`${metric} ${limit}`);
    const inner = ok ? '' : `<failure message="${escaped(`measured ${number(figure, 3)}`)}"/>`;
    return `  <testcase classname="${escaped(run.scenario)}" name="${name}">${inner}</testcase>`;
  });
  if (run.generator !== null) {
    const inner = run.verdict === 'generator limited' ? `<failure message="${escaped(generatorSentence(run))}"/>` : '';
    cases.push(`  <testcase classname="${escaped(run.scenario)}" name="generator headroom">${inner}</testcase>`);
  }
  return (
    `<?xml version="1.0" encoding="UTF-8"?>\n` +
    `<testsuite name="${escaped(run.scenario)}" tests="${cases.length}" failures="${failures}">\n` +
    `${cases.join('\n')}\n</testsuite>\n`
  );
}

function htmlTable(head, rows) {
  const cells = (row, tag) => row.map((cell) => `<${tag}>${escaped(cell)}</${tag}>`).join('');
  return `<table><tr>${cells(head, 'th')}</tr>${rows.map((row) => `<tr>${cells(row, 'td')}</tr>`).join('')}</table>`;
}

/** A line chart as SVG: points are [x, y]; its axes are labelled at their ends. */
function chart(title, xLabel, yLabel, points) {
  const [width, height, left, bottom, top] = [640, 240, 64, 36, 24];
  const xMax = Math.max(...points.map(([x]) => x), 1e-9);
  const yMax = Math.max(...points.map(([, y]) => y), 1e-9);
  const px = (x) => left + (x / xMax) * (width - left - 16);
  const py = (y) => height - bottom - (y / yMax) * (height - bottom - top);
  const line = points.map(([x, y]) => `${px(x).toFixed(1)},${py(y).toFixed(1)}`).join(' ');
  const dots = points
    .map(([x, y]) => `<circle cx="${px(x).toFixed(1)}" cy="${py(y).toFixed(1)}" r="3"><title>${number(x)}: ${number(y, 2)}</title></circle>`)
    .join('');
  return (
    `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escaped(title)}">` +
    `<text x="${left}" y="14" class="t">${escaped(title)}</text>` +
    `<line x1="${left}" y1="${py(0)}" x2="${width - 16}" y2="${py(0)}"/><line x1="${left}" y1="${top}" x2="${left}" y2="${py(0)}"/>` +
    `<text x="${left - 6}" y="${py(yMax) + 4}" class="e">${number(yMax, yMax < 10 ? 2 : 0)}</text>` +
    `<text x="${left - 6}" y="${py(0)}" class="e">0</text>` +
    `<text x="${width - 16}" y="${height - 14}" class="e">${number(xMax, 0)} ${escaped(xLabel)}</text>` +
    `<text x="${left}" y="${height - 14}">${escaped(yLabel)}</text>` +
    `<polyline points="${line}"/>${dots}</svg>`
  );
}

const STYLE =
  'body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}' +
  'table{border-collapse:collapse;margin:1rem 0}th,td{border:1px solid #ccc;padding:.25rem .6rem;text-align:left}' +
  'svg{width:100%;max-width:40rem;display:block;margin:1rem 0}polyline{fill:none;stroke:#1f5fbf;stroke-width:2}' +
  'circle{fill:#1f5fbf}line{stroke:#888}text{font-size:12px;fill:#333}.e{text-anchor:end}.t{font-weight:600}';

export function html(run) {
  const charts = [
    chart('Requests per second over the run', 's', 'requests/s', run.parts.map((p) => [p.at, p.rate])),
    chart('95th percentile of the response time over the run', 's', 'ms', run.parts.map((p) => [p.at, p.p95])),
    chart('Share of failed requests over the run', 's', '%', run.parts.map((p) => [p.at, p.failed * 100])),
  ];
  if (run.steps.length > 0) {
    charts.push(chart('Throughput against latency', 'requests/s served', 'p95, ms', run.steps.map((s) => [s.served, s.p95])));
  }
  return (
    `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Load test ${escaped(run.scenario)}</title>` +
    `<style>${STYLE}</style></head><body><h1>Load test ${escaped(run.scenario)}: ${escaped(run.verdict)}</h1>` +
    `<p>Run ${escaped(run.run_id)} against ${escaped(run.base_url)}, ${number(run.seconds, 0)} s. ${escaped(generatorSentence(run))}</p>` +
    htmlTable(ENDPOINT_HEAD, endpointRows(run)) +
    htmlTable(CHECK_HEAD, checkRows(run)) +
    (run.steps.length > 0 ? htmlTable(STEP_HEAD, stepRows(run)) : '') +
    `${charts.join('')}</body></html>\n`
  );
}
