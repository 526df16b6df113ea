/** Rates: never more than allowed, nobody held back for nothing, memory that does not grow. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { TokenBucket, TokenBuckets } from "../../../../../controller/rpc/limits/token-buckets.ts";

const RATE = { burst: 5, perSecond: 2 };

describe("a token bucket", () => {
  it("gives a burst at once, then says how long to wait for one more", () => {
    const bucket = new TokenBucket(RATE, 1000);
    for (let taken = 0; taken < 5; taken += 1) assert.equal(bucket.take(1000), 0);
    assert.equal(bucket.take(1000), 500);
    assert.equal(bucket.take(1250), 250);
    assert.equal(bucket.take(1500), 0);
    assert.equal(bucket.take(1500), 500);
  });

  it("has what was given back, but never more than its burst", () => {
    const bucket = new TokenBucket(RATE, 0);
    for (let taken = 0; taken < 5; taken += 1) bucket.take(0);
    bucket.giveBack();
    assert.equal(bucket.take(0), 0);
    for (let given = 0; given < 9; given += 1) bucket.giveBack();
    assert.ok(bucket.isFull(0));
    for (let taken = 0; taken < 5; taken += 1) bucket.take(0);
    assert.notEqual(bucket.take(0), 0);
  });

  it("in any time gives at most its burst and its rate, and serves who waits as told", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 3000 }), { maxLength: 200 }), (pauses) => {
        const bucket = new TokenBucket(RATE, 0);
        let nowMs = 0;
        let taken = 0;
        for (const pause of pauses) {
          nowMs += pause;
          const waitMs = bucket.take(nowMs);
          if (waitMs === 0) taken += 1;
          assert.ok(taken <= RATE.burst + (RATE.perSecond * nowMs) / 1000 + 1e-6);
          if (waitMs === 0) continue;
          nowMs += waitMs;
          assert.equal(bucket.take(nowMs), 0);
          taken += 1;
        }
      }),
    );
  });
});

describe("buckets by name", () => {
  it("hold back each name by itself", () => {
    const buckets = new TokenBuckets(RATE);
    for (let taken = 0; taken < 5; taken += 1) buckets.take("flood", 0);
    assert.notEqual(buckets.take("flood", 0), 0);
    assert.equal(buckets.take("good", 0), 0);
    buckets.giveBack("flood");
    assert.equal(buckets.take("flood", 0), 0);
    buckets.giveBack("never seen");
    assert.equal(buckets.size, 2);
  });

  it("keep no more names than allowed, and forget those that have rested first", () => {
    const buckets = new TokenBuckets(RATE, 3);
    for (let taken = 0; taken < 6; taken += 1) buckets.take("busy", 0);
    buckets.take("resting", 0);
    for (const [index, name] of ["x", "y", "z"].entries()) {
      buckets.take(name, 1000 + index);
      assert.ok(buckets.size <= 3);
    }
    for (let name = 0; name < 100; name += 1) buckets.take(`n${name}`, 1100);
    assert.equal(buckets.size, 3);
  });
});
