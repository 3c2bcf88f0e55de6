import assert from 'node:assert/strict';
import { test } from 'node:test';

const seconds = (text) => Number(text.replace('s', ''));
const length = ({ duration, stages }) => (stages || [{ duration }]).reduce((sum, one) => sum + seconds(one.duration), 0);

/** What a script runs at a factor of its time, without its calibration, and what k6 calls at the end. */
async function runAt(script, factor) {
  globalThis.__ENV.DURATION_FACTOR = factor;
  const { options, handleSummary } = await import(`../../../k6/${script}.js?${factor}`);
  const { calibration, ...scenarios } = options.scenarios;
  const shift = calibration === undefined ? 0 : Math.min(...Object.values(scenarios).map(({ startTime }) => seconds(startTime)));
  const found = Object.entries(scenarios).map(([name, one]) => ({ name, from: seconds(one.startTime) - shift, to: seconds(one.startTime) - shift + length(one) }));
  return { options, handleSummary, scenarios: found.sort((a, b) => a.from - b.from) };
}

for (const factor of ['0.03', '0.1', '0.3', '0.5', '0.7', '1', '1.1']) {
  test(`no step of a capacity run starts before the one before it has ended, at ${factor} of its time`, async () => {
    const { scenarios } = await runAt('capacity', factor);
    assert.equal(scenarios.length, 10);
    scenarios.slice(1).forEach(({ name, from }, index) => assert.equal(from, scenarios[index].to, `${name} at ${from} s`));
  });

  test(`no stage of the guide starts before the one before it has ended, at ${factor} of its time`, async () => {
    const { scenarios, handleSummary } = await runAt('seed', factor);
    const stages = [['introspection'], ['introspection_beside_issuance', 'issuance'], ['spike'], ['endurance']];
    let ended = 0;
    for (const names of stages) {
      const here = scenarios.filter(({ name }) => names.includes(name));
      assert.equal(here.length, names.length);
      for (const { name, from } of here) assert.equal(from, ended, `${name} at ${from} s`);
      ended = Math.max(...here.map(({ to }) => to));
    }
    const { stdout } = handleSummary({ metrics: {}, state: { testRunDurationMs: 1000 } });
    assert.equal(JSON.parse(stdout.trim().split('\n').pop()).seconds, ended);
  });
}
