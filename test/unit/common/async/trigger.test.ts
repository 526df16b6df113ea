/** Kicks are never lost and never counted: one wake for all that came before it. */
import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { describe, it } from "node:test";
import { Trigger } from "../../../../common/async/trigger.ts";
import { settle } from "../../../support/manual-clock.ts";

const never = new AbortController().signal;

describe("a trigger", () => {
  it("wakes its waiter at a kick", async () => {
    const trigger = new Trigger();
    let isAwake = false;
    const waiting = trigger.wait(never).then(() => {
      isAwake = true;
    });
    await settle();
    assert.equal(isAwake, false);
    trigger.kick();
    await waiting;
    assert.equal(trigger.isPending, false);
  });

  it("remembers a kick that came before the wait, once however many came", async () => {
    const trigger = new Trigger();
    for (let kick = 0; kick < 100; kick += 1) trigger.kick();
    assert.equal(trigger.isPending, true);
    await trigger.wait(never);
    let isAwake = false;
    void trigger.wait(never).then(() => {
      isAwake = true;
    });
    await settle();
    assert.equal(isAwake, false);
  });

  it("makes a kick during a pass one more pass", async () => {
    const trigger = new Trigger();
    const controller = new AbortController();
    let passes = 0;
    const loop = async (): Promise<void> => {
      for (;;) {
        await trigger.wait(controller.signal);
        passes += 1;
        if (passes === 1) {
          trigger.kick();
          trigger.kick();
        }
      }
    };
    const running = loop();
    trigger.kick();
    await settle();
    assert.equal(passes, 2);
    controller.abort();
    await assert.rejects(running);
  });

  it("rejects with the signal's reason, before and during the wait", async () => {
    const reason = new Error("enough");
    const controller = new AbortController();
    const waiting = new Trigger().wait(controller.signal);
    controller.abort(reason);
    await assert.rejects(waiting, reason);
    await assert.rejects(new Trigger().wait(controller.signal), reason);
  });

  it("keeps a kick that came while nobody waited after an abort", async () => {
    const trigger = new Trigger();
    const controller = new AbortController();
    const waiting = trigger.wait(controller.signal);
    controller.abort();
    trigger.kick();
    await assert.rejects(waiting);
    await trigger.wait(never);
  });

  it("leaves no listener behind", async () => {
    const trigger = new Trigger();
    const { signal } = new AbortController();
    for (let round = 0; round < 20; round += 1) {
      const waiting = trigger.wait(signal);
      trigger.kick();
      await waiting;
    }
    assert.equal(getEventListeners(signal, "abort").length, 0);
  });

  it("refuses a second waiter, which would take the first one's wake", async () => {
    const trigger = new Trigger();
    const first = trigger.wait(never);
    await assert.rejects(trigger.wait(never), /one waiter/);
    trigger.kick();
    await first;
  });
});
