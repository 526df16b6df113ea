/** The table is kept soon after a change, rarely under churn, and once more at the end. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { CachedTable } from "../../../../agent/host/table-cache.ts";
import { INTERVAL_MS, SETTLE_MS, TableKeeper } from "../../../../agent/node/table-keeper.ts";
import { ManualClock } from "../../../support/manual-clock.ts";

const TABLE: CachedTable = {
  node: "me",
  instance: "i",
  revision: 1,
  configRevision: 1,
  configJson: "{}",
  ownKey: "",
  leases: [],
};

describe("keeping the table", () => {
  it("writes once for a burst, and at most once an interval under churn", async () => {
    const [clock, stop] = [new ManualClock(), new AbortController()];
    const writes: CachedTable[] = [];
    const write = async (table: CachedTable): Promise<void> => void writes.push(table);
    const keeper = new TableKeeper({ clock, read: () => TABLE, write });
    const running = keeper.run(stop.signal).catch(() => undefined);
    await clock.advance(60_000);
    assert.equal(writes.length, 0);
    for (let round = 0; round < 100; round += 1) keeper.changed();
    await clock.advance(SETTLE_MS);
    assert.equal(writes.length, 1);
    for (let ms = 0; ms < 2 * INTERVAL_MS; ms += 100) {
      keeper.changed();
      await clock.advance(100);
    }
    assert.ok(writes.length <= 3);
    stop.abort();
    await running;
  });

  it("writes at the end what is not written yet, and nothing twice", async () => {
    let table: CachedTable | undefined;
    const written: CachedTable[] = [];
    const write = async (kept: CachedTable): Promise<void> => void written.push(kept);
    const keeper = new TableKeeper({ clock: new ManualClock(), read: () => table, write });
    keeper.changed();
    await keeper.flush();
    assert.equal(written.length, 0, "there was no table worth keeping");
    table = TABLE;
    await keeper.flush();
    await keeper.flush();
    assert.equal(written.length, 1);
  });
});
