import assert from 'node:assert/strict';
import { test } from 'node:test';

import { admissionBounds, policyOf } from '../../../k6/_policy.js';

test('the limit is that of the policy "client", in whatever order its parameters stand', () => {
  assert.deepEqual(policyOf({ 'Ratelimit-Policy': '"client";q=600;w=60' }), { quota: 600, window: 60 });
  assert.deepEqual(policyOf({ 'RateLimit-Policy': '"failure";q=9;w=1, "client";w=60;q=600' }), { quota: 600, window: 60 });
});

test('no limit is none', () => {
  for (const headers of [{}, { 'Ratelimit-Policy': '' }, { 'Ratelimit-Policy': '"failure";q=9;w=60' }, { 'Ratelimit-Policy': '"client";q=9' }]) {
    assert.equal(policyOf(headers), null);
  }
});

test('one process admits about what it refills, not nothing and not twice as much', () => {
  const { least, most } = admissionBounds(60, 1);
  assert.ok(least > 0.85 && least < 1, least);
  assert.ok(most > 1 && most < 1.05, most);
});

test('each further process may refill as much, and have a minute to be spent', () => {
  assert.ok(Math.abs(admissionBounds(60, 3).most - (3 * 62) / 60 - 2) < 1e-9);
  assert.equal(admissionBounds(60, 3).least, admissionBounds(60, 1).least);
});
