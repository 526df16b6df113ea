/** One lane per key: order within, none between, and nothing left behind. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Lanes } from "../../../../common/async/lanes.ts";
import { settle } from "../../../support/manual-clock.ts";

describe("lanes", () => {
  it("run work of one key in order, of different keys side by side", async () => {
    const lanes = new Lanes();
    const log: string[] = [];
    const ends: (() => void)[] = [];
    const work = (name: string) => async (): Promise<string> => {
      log.push(name);
      await new Promise<void>((resolve) => ends.push(resolve));
      return name;
    };
    const results = [
      lanes.run("a", work("a1")),
      lanes.run("a", work("a2")),
      lanes.run("b", work("b1")),
    ];
    await settle();
    assert.deepEqual(log, ["a1", "b1"]);
    ends[0]?.();
    await settle();
    assert.deepEqual(log, ["a1", "b1", "a2"]);
    for (const end of ends) end();
    assert.deepEqual(await Promise.all(results), ["a1", "a2", "b1"]);
    assert.equal(lanes.busy, 0);
  });

  it("go on after work that failed", async () => {
    const lanes = new Lanes();
    const failed = lanes.run("a", async () => {
      throw new Error("no");
    });
    const next = lanes.run("a", async () => 7);
    await assert.rejects(failed, /no/);
    assert.equal(await next, 7);
  });
});
