/** The table is kept soon after a change, rarely under churn, and once more at the end. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { CachedTable } from "../../../../agent/host/table-cache.ts";
import { INTERVAL_MS, SETTLE_MS, TableKeeper } from "../../../../agent/node/table-keeper.ts";
import type { Lease } from "../../../../common/lease/lease.ts";
import { ManualClock } from "../../../support/manual-clock.ts";

const LEASE: Lease = {
  key: "10.244.1.0-24",
  subnets: { v4: undefined, v6: undefined },
  attrs: {
    publicIp: undefined,
    publicIpv6: undefined,
    backendType: "",
    backendData: "",
    backendV6Data: "",
  },
  node: "",
};

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
  const churn = async (leases: number, forMs: number): Promise<number> => {
    const [clock, stop] = [new ManualClock(), new AbortController()];
    let writes = 0;
    const write = async (): Promise<void> => {
      writes += 1;
    };
    const table = { ...TABLE, leases: Array<Lease>(leases).fill(LEASE) };
    const keeper = new TableKeeper({ clock, read: () => table, write });
    const running = keeper.run(stop.signal).catch(() => undefined);
    await clock.advance(60_000);
    assert.equal(writes, 0);
    for (let round = 0; round < 100; round += 1) keeper.changed();
    await clock.advance(SETTLE_MS);
    assert.equal(writes, 1);
    for (let ms = 0; ms < forMs; ms += 100) {
      keeper.changed();
      await clock.advance(100);
    }
    stop.abort();
    await running;
    return writes - 1;
  };

  it("writes once for a burst, and a large table at most once an interval under churn", async () => {
    assert.ok((await churn(20_000, 2 * INTERVAL_MS.max)) <= 2);
  });

  it("keeps a small table seconds old under churn", async () => {
    const writes = await churn(3, 10_000);
    assert.ok(writes >= 4 && writes <= 10, `${writes} writes in 10 s`);
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
