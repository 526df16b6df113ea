/** A loop's sleep ends by a kick, by its time, or by the end of the loop, and leaves nothing. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { kickOrTimeout } from "../../../../common/async/kick-or-timeout.ts";
import { Trigger } from "../../../../common/async/trigger.ts";
import { ManualClock, settle } from "../../../support/manual-clock.ts";

describe("waiting for a kick or a time", () => {
  it("ends at the time, and then holds no kick back for the next wait", async () => {
    const [clock, trigger] = [new ManualClock(), new Trigger()];
    const wait = kickOrTimeout(trigger, 100, clock, new AbortController().signal);
    await clock.advance(100);
    await wait;
    assert.equal(trigger.isPending, false);
  });

  it("ends at a kick, also one from before, and stops its timer", async () => {
    const [clock, trigger] = [new ManualClock(), new Trigger()];
    const wait = kickOrTimeout(trigger, 100, clock, new AbortController().signal);
    trigger.kick();
    await wait;
    await settle();
    assert.equal(clock.sleeping, 0);
    trigger.kick();
    await kickOrTimeout(trigger, Number.POSITIVE_INFINITY, clock, new AbortController().signal);
  });

  it("rejects with the signal's reason and stops its timer", async () => {
    const [clock, trigger, controller] = [new ManualClock(), new Trigger(), new AbortController()];
    const wait = kickOrTimeout(trigger, 100, clock, controller.signal);
    controller.abort(new Error("the end"));
    await assert.rejects(wait, /the end/);
    await settle();
    assert.equal(clock.sleeping, 0);
  });
});
