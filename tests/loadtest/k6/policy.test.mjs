import assert from 'node:assert/strict';
import { test } from 'node:test';

import { admissionBounds, emptyBound, isSpent, policyOf } from '../../../k6/_policy.js';

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

test('a client whose limit is half of what is asked has spent it when it is let through no more than is refilled', () => {
  assert.ok(isSpent({ admitted: 20, refused: 40, seconds: 0.1 }, 12000, 1)); // 600 a second asked, 200 refilled
  assert.ok(!isSpent({ admitted: 58, refused: 2, seconds: 0.1 }, 12000, 1));
});

test('a client that nobody has refused has not spent its limit, however slowly it asks', () => {
  assert.ok(!isSpent({ admitted: 60, refused: 0, seconds: 10 }, 600, 1));
});

test('a process that still lets all through is not taken for several that refill', () => {
  assert.ok(!isSpent({ admitted: 60, refused: 60, seconds: 0.1 }, 600, 2));
  assert.ok(isSpent({ admitted: 2, refused: 118, seconds: 0.1 }, 600, 2));
});

test('a bound above all that is asked is refused, with the settings that make it one', () => {
  const { most } = admissionBounds(60, 50);
  assert.match(emptyBound(most, 400, 600), /LIMITERS.*HOT_RATE to 1008 or more/);
  assert.equal(emptyBound(most, 1008, 600), null);
  assert.equal(emptyBound(admissionBounds(60, 3).most, 400, 600), null);
});
