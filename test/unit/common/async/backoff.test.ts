/** Delays grow to their cap, and a fleet's do not coincide. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type BackoffPolicy, backoffMs } from "../../../../common/async/backoff.ts";

const policy: BackoffPolicy = { initialMs: 100, maxMs: 5000, factor: 2, jitter: 0 };

describe("a back-off", () => {
  it("doubles from the initial delay to the longest and stays there", () => {
    const delays = [0, 1, 2, 3, 4, 5, 6, 7, 1000].map((attempt) => backoffMs(policy, attempt, 0.5));
    assert.deepEqual(delays, [100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000]);
  });

  it("spreads each delay by its jitter, evenly to both sides", () => {
    const spread = { ...policy, jitter: 0.2 };
    assert.equal(backoffMs(spread, 0, 0), 80);
    assert.equal(backoffMs(spread, 0, 0.5), 100);
    assert.equal(backoffMs(spread, 0, 1), 120);
    assert.equal(backoffMs(spread, 99, 0), 4000);
  });

  it("is a finite, positive time for any attempt, and never shrinks", () => {
    const attempts = fc.nat(Number.MAX_SAFE_INTEGER);
    fc.assert(
      fc.property(attempts, attempts, fc.double({ min: 0, max: 0.999, noNaN: true }), (a, b, r) => {
        const any = { ...policy, jitter: 0.5 };
        const [less, more] = [Math.min(a, b), Math.max(a, b)];
        const delay = backoffMs(any, less, r);
        assert.ok(Number.isFinite(delay) && delay > 0);
        assert.ok(delay <= any.maxMs * (1 + any.jitter));
        assert.ok(backoffMs(any, more, r) >= delay);
      }),
    );
  });
});
