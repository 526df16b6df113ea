/** Work ends by itself, by the deadline or by its caller, and leaves nothing behind. */
import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { describe, it } from "node:test";
import { type Deadline, withDeadline } from "../../../../common/async/deadline.ts";
import { TwillError } from "../../../../common/errors.ts";
import { ManualClock } from "../../../support/manual-clock.ts";

const LATE = new TwillError("STORE_TIMEOUT", "took too long");

function scene(): { clock: ManualClock; caller: AbortController; deadline: Deadline } {
  const clock = new ManualClock();
  const caller = new AbortController();
  const deadline = { clock, ms: 1000, late: () => LATE, signal: caller.signal };
  return { clock, caller, deadline };
}

/** Rejects with the signal's reason when aborted. */
async function hang(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(TwillError.from(signal.reason)));
  });
}

describe("a deadline", () => {
  it("does nothing to work that ends in time", async () => {
    const { clock, caller, deadline } = scene();
    assert.equal(await withDeadline(deadline, async () => 7), 7);
    assert.equal(clock.sleeping, 0);
    assert.equal(getEventListeners(caller.signal, "abort").length, 0);
  });

  it("aborts the work when the time is up", async () => {
    const { clock, caller, deadline } = scene();
    const work = assert.rejects(withDeadline(deadline, hang), LATE);
    await clock.advance(1000);
    await work;
    assert.equal(getEventListeners(caller.signal, "abort").length, 0);
  });

  it("aborts the work with the caller's reason", async () => {
    const { clock, caller, deadline } = scene();
    const reason = new TwillError("SHUTTING_DOWN", "bye");
    const work = assert.rejects(withDeadline(deadline, hang), reason);
    caller.abort(reason);
    await work;
    assert.equal(clock.sleeping, 0);
    await assert.rejects(
      withDeadline(deadline, async () => 7),
      reason,
    );
  });
});
