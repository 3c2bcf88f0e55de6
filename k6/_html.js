// The report of one run as one HTML file: nothing is fetched, it is read in light and in dark, charts are SVG.

import {
  CHECK_HEAD,
  ENDPOINT_HEAD,
  STEP_HEAD,
  capacitySentence,
  checkRows,
  endpointRows,
  escaped,
  generatorSentence,
  number,
  stepRows,
} from './_report.js';

const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [640, 260, 62, 18, 34, 44];

const STYLE = `
:root{color-scheme:light dark;--ink:#1c2733;--faint:#5b6b7b;--line:#d9e0e7;--paper:#fff;--card:#f6f8fa;--blue:#0f62b4;--good:#1b7f4b;--bad:#b3261e;--warn:#9a5b00}
@media (prefers-color-scheme:dark){:root{--ink:#e4e9ee;--faint:#9aa8b5;--line:#33404d;--paper:#12181f;--card:#1a222b;--blue:#6db3ff;--good:#5fd39a;--bad:#ff8a80;--warn:#ffc46b}}
body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1.25rem;color:var(--ink);background:var(--paper)}
h1{font-size:1.5rem;margin:0 0 .25rem}h2{font-size:1.05rem;margin:2rem 0 .5rem}p{color:var(--faint);margin:.25rem 0 1rem}
.verdict{font-size:1rem;font-weight:600;padding:.15rem .7rem;border-radius:1rem;border:1.5px solid;vertical-align:.15rem;margin-left:.5rem}
.pass{color:var(--good)}.fail{color:var(--bad)}.limited{color:var(--warn)}
.wide{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{border-bottom:1px solid var(--line);padding:.3rem .9rem .3rem 0;text-align:right;white-space:nowrap}
th{color:var(--faint);font-weight:600}th:first-child,td:first-child{text-align:left}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(26rem,1fr));gap:1rem}
figure{margin:0;background:var(--card);border:1px solid var(--line);border-radius:.5rem;padding:.5rem}
svg{width:100%;display:block}svg text{font:12px system-ui,sans-serif;fill:var(--faint)}svg .t{font-weight:600;fill:var(--ink)}
svg .grid{stroke:var(--line)}svg .line{fill:none;stroke:var(--blue);stroke-width:2.2;stroke-linejoin:round}
svg .area{fill:var(--blue);opacity:.12}svg circle{fill:var(--blue)}svg .limit{stroke:var(--bad);stroke-dasharray:6 4}
`;

function table(head, rows) {
  const row = (cells, tag) => `<tr>${cells.map((cell) => tag(cell)).join('')}</tr>`;
  const plain = (cell) => `<td${kindOf(cell)}>${escaped(cell)}</td>`;
  const top = row(head, (cell) => `<th>${escaped(cell)}</th>`);
  return `<div class="wide"><table>${top}${rows.map((cells) => row(cells, plain)).join('')}</table></div>`;
}

function kindOf(cell) {
  if (cell === 'pass' || cell === 'yes') return ' class="pass"';
  return cell === 'FAIL' || cell === 'NO' ? ' class="fail"' : '';
}

/** Round figures from 0 to at least `most`, about four of them. */
export function ticks(most) {
  const rough = most / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].find((factor) => factor * power >= rough * 0.999) * power;
  const found = [];
  for (let index = 0; index * step < most + step * 0.999; index += 1) found.push(index * step);
  return found;
}

function label(value) {
  return String(Number(value.toPrecision(6)));
}

/** A line chart: points are [x, y] in the order of x; `least` is what the y axis shows at least. */
function chart({ title, x, y, points, least = 0, area = false, limit = undefined }) {
  const end = Math.max(...points.map(([at]) => at), 1e-9);
  const across = ticks(end).filter((value) => value <= end);
  const up = ticks(Math.max(...points.map(([, value]) => value), least, 1e-9));
  const px = (value) => (LEFT + (value / end) * (WIDTH - LEFT - RIGHT)).toFixed(1);
  const py = (value) => (HEIGHT - BOTTOM - (value / up[up.length - 1]) * (HEIGHT - BOTTOM - TOP)).toFixed(1);
  const grid = up
    .map((value) => {
      const at = py(value);
      return (
        `<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${at}" y2="${at}"/>` +
        `<text x="${LEFT - 8}" y="${Number(at) + 4}" text-anchor="end">${label(value)}</text>`
      );
    })
    .join('');
  const below = across
    .map((value) => `<text x="${px(value)}" y="${HEIGHT - BOTTOM + 17}" text-anchor="middle">${label(value)}</text>`)
    .join('');
  const line = points.map(([at, value]) => `${px(at)},${py(value)}`).join(' ');
  const [first, last] = [points[0], points[points.length - 1]];
  const filled = `<polygon class="area" points="${px(first[0])},${py(0)} ${line} ${px(last[0])},${py(0)}"/>`;
  const dots = points
    .map(
      ([at, value]) =>
        `<circle cx="${px(at)}" cy="${py(value)}" r="3.2"><title>${number(at)} ${escaped(x)}: ${number(value, 2)} ${escaped(y)}</title></circle>`,
    )
    .join('');
  const bound =
    limit === undefined || limit > up[up.length - 1]
      ? ''
      : `<line class="limit" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${py(limit)}" y2="${py(limit)}"/>`;
  return (
    `<figure><svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escaped(title)}">` +
    `<text x="${LEFT}" y="18" class="t">${escaped(title)}</text>${grid}${below}` +
    `<text x="${WIDTH - RIGHT}" y="${HEIGHT - 8}" text-anchor="end">${escaped(x)}</text>` +
    `<text x="${LEFT - 8}" y="18" text-anchor="end">${escaped(y)}</text>` +
    `${area ? filled : ''}${bound}<polyline class="line" points="${line}"/>${dots}</svg></figure>`
  );
}

function charts(run) {
  const over = (pick) => run.parts.map((part) => [part.at, pick(part)]);
  const drawn = [
    { title: 'Requests a second over the run', x: 'seconds', y: '1/s', points: over((p) => p.rate), area: true },
    { title: '95th percentile over the run', x: 'seconds', y: 'ms', points: over((p) => p.p95), least: 1 },
    { title: 'Failed requests over the run', x: 'seconds', y: '%', points: over((p) => p.failed * 100), least: 1 },
  ];
  if (run.steps.length > 0) {
    const points = run.steps.map((step) => [step.served, step.p95]).sort((one, other) => one[0] - other[0]);
    const asked = run.steps.map((step) => [step.rate, step.served]);
    drawn.unshift(
      { title: '95th percentile against throughput', x: 'served a second', y: 'ms', points, limit: 100 },
      { title: 'Served against asked for', x: 'asked for a second', y: '1/s', points: asked },
    );
  }
  return drawn.map(chart).join('');
}

export function html(run) {
  const kind = { pass: 'pass', fail: 'fail' }[run.verdict] || 'limited';
  return (
    `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">` +
    `<title>Load test ${escaped(run.scenario)}: ${escaped(run.verdict)}</title><style>${STYLE}</style></head><body>` +
    `<h1>Load test ${escaped(run.scenario)}<span class="verdict ${kind}">${escaped(run.verdict)}</span></h1>` +
    `<p>Run ${escaped(run.run_id)} against ${escaped(run.base_url)}, ${number(run.seconds, 0)} s. ${escaped(generatorSentence(run))} ${escaped(capacitySentence(run))}</p>` +
    `<h2>Endpoints</h2>${table(ENDPOINT_HEAD, endpointRows(run))}` +
    (run.steps.length > 0 ? `<h2>Steps</h2>${table(STEP_HEAD, stepRows(run))}` : '') +
    `<h2>Charts</h2><div class="charts">${charts(run)}</div>` +
    `<h2>Checks</h2>${table(CHECK_HEAD, checkRows(run))}</body></html>\n`
  );
}
