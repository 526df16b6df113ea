/** Counters in shared memory, one row a loop. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { COUNTER, newStats, readStats, StatsRow } from "../../../../agent/tunnel/tunnel-stats.ts";

describe("the tunnel's counters", () => {
  it("are the sum of all rows, each under its own name", () => {
    const stats = newStats(2);
    const rows = [new StatsRow(stats, 0), new StatsRow(stats, 1)];
    for (const [index, column] of Object.values(COUNTER).entries()) {
      rows[0]?.add(column, index + 1);
      rows[1]?.add(column, 100);
    }
    const expected = Object.fromEntries(
      Object.keys(COUNTER).map((name, index) => [name, index + 101]),
    );
    assert.deepEqual(readStats(stats), expected);
  });
});
