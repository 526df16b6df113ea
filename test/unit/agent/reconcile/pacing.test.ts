/** When a failed key is tried again, and how often a contested one is repaired. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CALM_MS, FREE_REPAIRS, RepairPace } from "../../../../agent/reconcile/repair-pace.ts";
import { RETRY_POLICY, RetryBook } from "../../../../agent/reconcile/retry-book.ts";

describe("the retry book", () => {
  it("waits longer after every failure of a key, and never beyond the limit", () => {
    const book = new RetryBook<string>();
    let nowMs = 0;
    const waits = Array.from({ length: 12 }, () => {
      book.failed("a", "broken", nowMs, 0.5);
      const waitMs = (book.nextDueMs() ?? 0) - nowMs;
      assert.equal(book.isDue("a", nowMs), false);
      nowMs += waitMs;
      assert.equal(book.isDue("a", nowMs), true);
      return waitMs;
    });
    assert.equal(waits[0], RETRY_POLICY.initialMs);
    assert.deepEqual(
      waits,
      waits.toSorted((a, b) => a - b),
    );
    assert.equal(waits.at(-1), RETRY_POLICY.maxMs);
  });

  it("tells what fails, forgets what nobody wants, and starts anew after a reset", () => {
    const book = new RetryBook<string>();
    book.failed("a", "broken a", 0, 0.5);
    book.failed("b", "broken b", 0, 0.5);
    assert.deepEqual(book.failures(), ["broken a", "broken b"]);
    book.reset(7);
    assert.equal(book.isDue("a", 7), true);
    assert.equal(book.has("a"), true, "it is failing until it works");
    book.keepOnly((id) => id === "b");
    book.succeeded("b");
    assert.equal(book.isEmpty, true);
    assert.equal(book.nextDueMs(), undefined);
  });
});

describe("the repair pace", () => {
  it("lets the first repairs through, then holds longer each time, and forgives calm", () => {
    const pace = new RepairPace();
    let nowMs = 0;
    for (let repair = 1; repair < FREE_REPAIRS; repair += 1) {
      assert.equal(pace.repaired("a", nowMs), false);
      assert.equal(pace.isHeld("a", nowMs), false);
    }
    assert.equal(pace.repaired("a", nowMs), true, "told once");
    const holds: number[] = [];
    for (let repair = 0; repair < 8; repair += 1) {
      const freeMs = pace.heldUntilMs("a", nowMs) ?? 0;
      holds.push(freeMs - nowMs);
      nowMs = freeMs;
      assert.equal(pace.isHeld("a", nowMs), false);
      assert.equal(pace.repaired("a", nowMs), false);
    }
    assert.deepEqual(holds.slice(0, 6), [1_000, 2_000, 4_000, 8_000, 16_000, 30_000]);
    nowMs += CALM_MS;
    pace.tidy(nowMs);
    assert.equal(pace.repaired("a", nowMs), false);
    assert.equal(pace.isHeld("a", nowMs), false);
    assert.equal(pace.isHeld("b", nowMs), false);
  });
});
