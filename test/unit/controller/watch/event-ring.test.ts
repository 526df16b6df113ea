/** The ring that watchers share: everybody gets everything in order, or is told what it missed. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { EventRing } from "../../../../controller/watch/event-ring.ts";
import type { WatchEvent } from "../../../../proto/gen/twill/v1/inspect.ts";

const ALL: ReadonlySet<string> = new Set();
const at = (atMs: number): WatchEvent => ({
  atMs,
  event: { $case: atMs % 2 === 0 ? "leader" : "stream", value: stream },
});
const stream = { node: "n", connected: true, reason: "", leader: "" };

describe("the ring of events", () => {
  it("gives each watcher every event once and in order, or counts what went by", () => {
    const steps = fc.array(fc.oneof(fc.nat({ max: 20 }), fc.constant("read" as const)));
    fc.assert(
      fc.property(steps, (work) => {
        const ring = new EventRing(8);
        const seen: number[] = [];
        let [place, pushed, missed] = [0, 0, 0];
        const read = (): void => {
          while (place < ring.head) {
            const batch = ring.after(place, ALL);
            missed += batch.missed;
            seen.push(...batch.events.map(({ atMs }) => atMs));
            place = batch.next;
          }
        };
        for (const step of work) {
          if (step === "read") read();
          else for (let n = 0; n < step; n += 1) ring.push(at(pushed++));
        }
        read();
        assert.equal(seen.length + missed, pushed);
        assert.deepEqual(
          seen,
          seen.toSorted((a, b) => a - b),
        );
        assert.equal(new Set(seen).size, seen.length);
        if (pushed > 0) assert.equal(seen.at(-1), pushed - 1);
      }),
    );
  });

  it("leaves out kinds that were not asked for, and goes on behind them", () => {
    const ring = new EventRing();
    for (let n = 0; n < 5; n += 1) ring.push(at(n));
    const batch = ring.after(0, new Set(["leader"]));
    assert.deepEqual(
      batch.events.map(({ atMs }) => atMs),
      [0, 2, 4],
    );
    assert.equal(batch.next, 5);
  });

  it("wakes who listens, until they stop", () => {
    const ring = new EventRing();
    let woken = 0;
    const stop = ring.onPush(() => {
      woken += 1;
    });
    ring.push(at(1));
    stop();
    ring.push(at(2));
    assert.equal(woken, 1);
  });
});
