import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { answers, sent } from 'k6/http';
import { added } from 'k6/metrics';

import { CALIBRATION, formEncoded, headersOf, introspect, isKnown, issue } from '../../../k6/_oauth.js';

const ok = (body) => ({ status: 200, body, headers: {}, json: () => JSON.parse(body) });
const failed = (status, headers = {}) => ({ status, body: '', headers, json: () => ({}) });

beforeEach(() => {
  sent.length = 0;
  answers.length = 0;
  for (const name of Object.keys(added)) delete added[name];
});

test('both halves of the credentials are form-encoded before they are joined', () => {
  const { Authorization } = headersOf('a b:c', "s'~*é+");
  assert.equal(Buffer.from(Authorization.replace('Basic ', ''), 'base64').toString(), 'a+b%3Ac:s%27%7E*%C3%A9%2B');
  assert.equal(new URLSearchParams({ x: "!'()~* -._é" }).toString(), `x=${formEncoded("!'()~* -._é")}`);
});

test('a calibration sends what the run sends, elsewhere', () => {
  answers.push(ok('{"active":true}'), ok('{"active":true}'));
  introspect('t', true);
  introspect('t', true, CALIBRATION);
  const [of, calibrating] = sent;
  assert.equal(calibrating.url, 'http://responder/x');
  assert.notEqual(of.url, calibrating.url);
  assert.equal(calibrating.body, of.body);
  assert.deepEqual(calibrating.params.headers, of.params.headers);
  assert.deepEqual({ endpoint: calibrating.params.tags.endpoint, measured: calibrating.params.tags.measured }, { endpoint: 'calibration', measured: 'no' });
});

test('what a responder answers is neither wrong nor an outage', () => {
  answers.push(ok('{"active":true}'), ok('{"active":false}'), failed(500), failed(429));
  assert.equal(issue(CALIBRATION), null);
  introspect('t', true, CALIBRATION);
  introspect('t', true, CALIBRATION);
  introspect('t', true, CALIBRATION);
  assert.deepEqual(added, {});
});

test('what the service answers wrong is counted', () => {
  answers.push(ok('{"token_type":"Bearer"}'), ok('{"active":false}'), ok('{"active":true}'), ok('<html>'));
  assert.equal(issue(), null);
  introspect('t', true);
  introspect('t', false);
  introspect('t', false);
  assert.deepEqual(added, { wrong_answers: [1, 1, 1, 1] });
});

test('a failure without Retry-After is another than one with it', () => {
  answers.push(failed(503, { 'Retry-After': '1' }), failed(503), failed(0));
  for (let index = 0; index < 3; index += 1) assert.equal(introspect('t'), null);
  assert.deepEqual(added.failed_otherwise, [1, 1]);
  assert.equal(added.failed_at.length, 3);
  assert.equal(added.wrong_answers, undefined);
});

test('a refusal of a client that is not known yet is no token, and ends nothing', () => {
  answers.push(failed(401), failed(429, { 'Ratelimit-Policy': '"failure";q=300;w=60' }));
  assert.equal(issue(), null);
  assert.equal(issue(), null);
});

test('a client is known when all that answer know it', () => {
  const limited = failed(429, { 'Ratelimit-Policy': '"client";q=600;w=60' });
  const waiting = failed(429, { 'Ratelimit-Policy': '"failure";q=300;w=60' });
  for (const [one, known] of [[ok('{}'), true], [limited, true], [failed(401), false], [waiting, false], [failed(0), false]]) {
    answers.length = 0;
    answers.push(...Array(11).fill(ok('{"active":false}')), one);
    assert.equal(isKnown({}, headersOf('hot', 'x')), known);
  }
  assert.equal(sent[0].params.headers.Authorization, headersOf('hot', 'x').Authorization);
});

test('a refusal by the limiter ends the run with the setting to change', () => {
  answers.push(failed(429));
  assert.throws(() => introspect('t'), /rate_limit_per_minute/);
});
