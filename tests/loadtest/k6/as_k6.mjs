// What k6 gives its scripts and node does not: `__ENV`, `open`, and stand-ins for the modules `k6` and `k6/…`. The scripts of
// k6/ are modules, whatever node takes a .js file for. To be given by --import, before a test is loaded.
//
// A script imported with a query (`capacity.js?0.1`) is loaded anew with all that it imports, by what `__ENV` says then.

import { readFileSync } from 'node:fs';
import { register } from 'node:module';

globalThis.__ENV = { CLIENT_ID: 'an id', CLIENT_SECRET: 'a secret', ...JSON.parse(process.env.K6_ENV || '{}') };
globalThis.open = (path) => readFileSync(path, 'utf8');

// Each counts what is added to it, as k6 does; `sent` is what requests were made of.
const standIns = {
  k6: 'export const sleep = () => {};',
  'k6/encoding': 'export default { b64encode: (text) => Buffer.from(text).toString("base64") };',
  'k6/execution': `
    export default {
      instance: { currentTestRunDuration: 0 },
      scenario: { name: '', startTime: 0 },
      test: { abort: (why) => { throw new Error(why); } },
    };`,
  'k6/http': `
    export const sent = [];
    export const answers = [];
    export default {
      expectedStatuses: () => undefined,
      get: (url, params) => (sent.push({ url, params }), answers.shift()),
      batch: (requests) => requests.map((one) => (sent.push(one), answers.shift())),
      post: (url, body, params) => (sent.push({ url, body, params }), answers.shift()),
    };`,
  'k6/metrics': `
    export const added = {};
    class Metric {
      constructor(name) { this.name = name; }
      add(value) { (added[this.name] ||= []).push(value); }
    }
    export { Metric as Counter, Metric as Gauge, Metric as Trend };`,
};

const hooks = `
  const standIns = ${JSON.stringify(standIns)};
  export function resolve(name, context, next) {
    if (name in standIns) return { url: 'k6:' + name, format: 'module', shortCircuit: true };
    const query = name.startsWith('./') ? new URL(context.parentURL).search : '';
    return next(name + query, context);
  }
  export async function load(url, context, next) {
    if (url.startsWith('k6:')) return { format: 'module', source: standIns[url.slice(3)], shortCircuit: true };
    if (/\\/k6\\/[a-z_-]+\\.js(\\?.*)?$/.test(url)) return next(url, { ...context, format: 'module' });
    return next(url, context);
  }
`;
register(`data:text/javascript,${encodeURIComponent(hooks)}`);
