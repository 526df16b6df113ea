/** Agents are sent away from a replica that lost etcd, and ever more rarely while nobody has it. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TaskGroup } from "../../../../common/async/task-group.ts";
import { sendAwayWhileStale } from "../../../../controller/rpc/stale-replica.ts";
import { ManualClock } from "../../../support/manual-clock.ts";

/** Ages of the streams that would be ended at least, by the second it happens in. */
async function ages(
  seconds: number,
  isStale: (second: number) => boolean,
): Promise<Map<number, number>> {
  const clock = new ManualClock();
  const told = new Map<number, number>();
  const group = new TaskGroup();
  const second = (): number => Math.round(clock.monotonicMs() / 1000);
  const parts = {
    clock,
    random: () => 0.5,
    isStale: () => isStale(second()),
    endOlder: (ageMs: number) => told.set(second(), ageMs / 1000),
  };
  group.spawn((signal) => sendAwayWhileStale(parts, signal));
  await clock.advance(seconds * 1000);
  group.abort();
  await group.join();
  return told;
}

describe("a replica that lost etcd", () => {
  it("keeps its agents for ten seconds, then ends the streams that were there before", async () => {
    const told = await ages(12, () => true);
    assert.deepEqual(
      [...told],
      [
        [11, 10],
        [12, 10],
      ],
    );
  });

  it("lets agents that came back stay for half the outage so far, at most five minutes", async () => {
    const told = await ages(1300, () => true);
    assert.equal(told.get(41), 20);
    assert.equal(told.get(201), 100);
    assert.equal(told.get(1300), 300);
  });

  it("begins to count anew when etcd was back", async () => {
    const told = await ages(30, (second) => second !== 9);
    assert.equal(Math.min(...told.keys()), 20);
  });

  it("keeps everybody while it follows etcd", async () => {
    assert.equal((await ages(60, () => false)).size, 0);
  });
});
