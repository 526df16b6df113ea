/** Tasks of a group live and die together, and nothing gets lost on the way. */
import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { describe, it } from "node:test";
import { TaskGroup } from "../../../../common/async/task-group.ts";
import { ManualClock, settle } from "../../../support/manual-clock.ts";

describe("a task group", () => {
  it("joins when every task has ended", async () => {
    const clock = new ManualClock();
    const group = new TaskGroup();
    const ended: number[] = [];
    for (const ms of [30, 10, 20]) {
      group.spawn(async (signal) => {
        await clock.sleep(ms, signal);
        ended.push(ms);
      });
    }
    const joined = group.join();
    await clock.advance(30);
    await joined;
    assert.deepEqual(ended, [10, 20, 30]);
    assert.equal(group.signal.aborted, false);
  });

  it("ends all others at the first failure and rethrows that one", async () => {
    const clock = new ManualClock();
    const group = new TaskGroup();
    const failure = new Error("first");
    let wasAborted = false;
    group.spawn(async (signal) => {
      await clock.sleep(1000, signal).catch(async () => {
        wasAborted = true;
        throw new Error("second, a consequence");
      });
    });
    group.spawn(async () => {
      throw failure;
    });
    await assert.rejects(group.join(), failure);
    assert.equal(wasAborted, true);
    assert.equal(clock.sleeping, 0);
  });

  it("ends quietly when it is aborted", async () => {
    const clock = new ManualClock();
    const group = new TaskGroup();
    group.spawn((signal) => clock.sleep(1000, signal));
    group.abort(new Error("stop"));
    await group.join();
    assert.equal(clock.sleeping, 0);
  });

  it("ends with its parent, for the parent's reason", async () => {
    const clock = new ManualClock();
    const parent = new AbortController();
    const group = new TaskGroup(parent.signal);
    group.spawn((signal) => clock.sleep(1000, signal));
    const reason = new Error("shutdown");
    parent.abort(reason);
    await group.join();
    assert.equal(group.signal.reason, reason);
  });

  it("made of an aborted parent is aborted from the start", async () => {
    const group = new TaskGroup(AbortSignal.abort());
    let seen: boolean | undefined;
    group.spawn(async (signal) => {
      seen = signal.aborted;
    });
    await group.join();
    assert.equal(seen, true);
  });

  it("waits for tasks that were spawned while it was joining", async () => {
    const clock = new ManualClock();
    const group = new TaskGroup();
    let isDone = false;
    group.spawn(async (signal) => {
      await clock.sleep(10, signal);
      group.spawn(async (inner) => {
        await clock.sleep(10, inner);
        isDone = true;
      });
    });
    const joined = group.join();
    await clock.advance(20);
    await joined;
    assert.equal(isDone, true);
  });

  it("takes a throw before the first await as a failure like any other", async () => {
    const group = new TaskGroup();
    const failure = new Error("synchronous");
    group.spawn(() => {
      throw failure;
    });
    await settle();
    await assert.rejects(group.join(), failure);
  });

  it("lets go of its parent when it has been joined", async () => {
    const parent = new AbortController();
    for (let round = 0; round < 20; round += 1) {
      const group = new TaskGroup(parent.signal);
      group.spawn(async () => undefined);
      await group.join();
    }
    assert.equal(getEventListeners(parent.signal, "abort").length, 0);
  });
});
