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

for (const script of ['uniform', 'live-tokens']) {
  test(`those who ask in ${script} are those who issued what is asked about, and there are no others`, async () => {
    globalThis.__ENV.METRICS_URL = 'http://127.0.0.1:9464/metrics';
    const { options, scenarios } = await runAt(script, '1');
    const { filling, ...others } = options.scenarios;
    const free = seconds(filling.duration) + seconds(filling.gracefulStop);
    for (const { startTime } of Object.values(others)) assert.ok(seconds(startTime) > free);
    const users = Object.values(others).reduce((sum, { preAllocatedVUs }) => sum + preAllocatedVUs, 0);
    assert.equal(filling.preAllocatedVUs, users);
    assert.equal(scenarios[0].name, 'filling');
    const [least, most] = options.thresholds['http_reqs{endpoint:fill}'].map((limit) => Number(/\d+/.exec(limit)[0]));
    assert.ok(most - least < 0.06 * least, 'tokens of users that came later are a failure');
  });
}
