// What a run leaves: a readable table and the verdict as one line of JSON on standard output, reports in REPORT_DIR.

import { csv, endpoints, html, junit, markdown, parts } from './_report.js';
import { BASE_URL, REPORT_DIR, RUN_ID } from './_settings.js';
import { judge } from './_verdict.js';

/** k6's `handleSummary` for a plan {scenario, seconds, peak, steps, capacity}. */
export function summary(plan) {
  return (data) => {
    const judged = judge(data, plan);
    const run = {
      scenario: plan.scenario,
      run_id: RUN_ID,
      base_url: BASE_URL,
      seconds: plan.seconds,
      verdict: judged.verdict,
      capacity: judged.capacity,
      generator: judged.generator,
      endpoints: endpoints(data),
      checks: judged.checks,
      steps: judged.steps,
      parts: parts(data, plan.seconds),
      test_seconds: data.state.testRunDurationMs / 1000,
    };
    const { parts: _parts, steps: _steps, ...verdict } = run;
    const outputs = { stdout: `\n${markdown(run)}\n${JSON.stringify(verdict)}\n` };
    if (REPORT_DIR !== '') {
      outputs[`${REPORT_DIR}/report.json`] = JSON.stringify(run, null, 2) + '\n';
      outputs[`${REPORT_DIR}/report.md`] = markdown(run);
      outputs[`${REPORT_DIR}/report.html`] = html(run);
      outputs[`${REPORT_DIR}/report.csv`] = csv(run);
      outputs[`${REPORT_DIR}/junit.xml`] = junit(run);
    }
    return outputs;
  };
}
