// What a run leaves: a readable table and the verdict as one line of JSON on standard output, reports in REPORT_DIR; with
// REPORT_IN_LOG=on the reports are a line of standard output as well, {"reports":{name: text}}.

import { html } from './_html.js';
import { csv, endpoints, junit, markdown, parts } from './_report.js';
import { BASE_URL, REPORT_DIR, REPORT_IN_LOG, REPORT_PREFIX, RUN_ID } from './_settings.js';
import { judge, value } from './_verdict.js';

/** k6's `handleSummary` for a plan {scenario, seconds, measuredSeconds (where some prepare), steps, calibratedFor}. */
export function summary(plan) {
  return (data) => {
    const judged = judge(data, plan);
    const run = {
      scenario: plan.scenario,
      run_id: RUN_ID,
      base_url: BASE_URL,
      seconds: plan.seconds,
      measured_seconds: plan.measuredSeconds || plan.seconds,
      verdict: judged.verdict,
      capacity: judged.capacity,
      generator: judged.generator,
      endpoints: endpoints(data),
      checks: judged.checks,
      steps: judged.steps,
      parts: parts(data, plan.seconds),
      outage_seconds: (value(data, 'failed_at', 'max') - value(data, 'failed_at', 'min')) / 1000,
      test_seconds: data.state.testRunDurationMs / 1000,
    };
    const { parts: _parts, steps: _steps, ...verdict } = run;
    const reports = {
      'report.json': JSON.stringify(run, null, 2) + '\n',
      'report.md': markdown(run),
      'report.html': html(run),
      'report.csv': csv(run),
      'junit.xml': junit(run),
    };
    const printed = REPORT_IN_LOG ? `${JSON.stringify({ reports })}\n` : '';
    const outputs = { stdout: `\n${markdown(run)}\n${printed}${JSON.stringify(verdict)}\n` };
    if (REPORT_DIR !== '') {
      for (const [name, content] of Object.entries(reports)) outputs[`${REPORT_DIR}/${REPORT_PREFIX}${name}`] = content;
    }
    return outputs;
  };
}
