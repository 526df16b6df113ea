/** Never more at once than slots, everybody in turn. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Slots } from "../../../../common/async/slots.ts";
import { settle } from "../../../support/manual-clock.ts";

describe("slots", () => {
  it("let so many run at once and the rest in order", async () => {
    const slots = new Slots(2);
    const ends: (() => void)[] = [];
    const started: number[] = [];
    const all = [0, 1, 2, 3].map((n) =>
      slots.run(async () => {
        started.push(n);
        await new Promise<void>((resolve) => ends.push(resolve));
      }),
    );
    await settle();
    assert.deepEqual(started, [0, 1]);
    ends[1]?.();
    await settle();
    assert.deepEqual(started, [0, 1, 2]);
    for (let turn = 0; turn < 4; turn += 1) {
      for (const end of ends) end();
      await settle();
    }
    await Promise.all(all);
    assert.deepEqual(started, [0, 1, 2, 3]);
  });

  it("are given back by work that failed", async () => {
    const slots = new Slots(1);
    const failed = slots.run(async () => {
      throw new Error("no");
    });
    const next = slots.run(async () => 7);
    await assert.rejects(failed, /no/);
    assert.equal(await next, 7);
  });
});
