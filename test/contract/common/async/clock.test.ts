/** The real clock: aborted at once, never late by an overflow. Nothing here measures time. */
import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { describe, it } from "node:test";
import { systemClock } from "../../../../common/async/clock.ts";
import { settle } from "../../../support/manual-clock.ts";

describe("the system clock", () => {
  it("never goes backwards", () => {
    const readings = Array.from({ length: 1000 }, () => systemClock.monotonicMs());
    assert.deepEqual(
      readings,
      readings.toSorted((a, b) => a - b),
    );
  });

  it("rejects a sleep with the signal's own reason and leaves no listener", async () => {
    const controller = new AbortController();
    const reason = new Error("enough");
    const sleeping = systemClock.sleep(60_000, controller.signal);
    controller.abort(reason);
    await assert.rejects(sleeping, reason);
    await assert.rejects(systemClock.sleep(0, controller.signal), reason);
    assert.equal(getEventListeners(controller.signal, "abort").length, 0);
  });

  it("takes zero and less as no wait at all", async () => {
    const { signal } = new AbortController();
    await systemClock.sleep(0, signal);
    await systemClock.sleep(-5, signal);
    await systemClock.sleep(Number.NEGATIVE_INFINITY, signal);
  });

  for (const ms of [2 ** 31, 1e15, Number.POSITIVE_INFINITY]) {
    it(`does not cut a sleep of ${ms} ms short`, async () => {
      const controller = new AbortController();
      let isOver = false;
      const sleeping = systemClock.sleep(ms, controller.signal).finally(() => {
        isOver = true;
      });
      // Node turns a delay that is too long into one millisecond.
      const { signal } = new AbortController();
      await systemClock.sleep(5, signal);
      await settle();
      assert.equal(isOver, false);
      controller.abort();
      await assert.rejects(sleeping);
    });
  }
});
