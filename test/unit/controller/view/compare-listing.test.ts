/** What a listing proves against the table, and what time alone explains. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { suspiciousKeys } from "../../../../controller/view/compare-listing.ts";
import { LeaseTable } from "../../../../controller/view/lease-table.ts";
import { leaseValue } from "../../../support/lease-texts.ts";
import { StoreHistory } from "../../../support/store-history.ts";

const A = "subnets/10.5.1.0-24";
const B = "subnets/10.5.2.0-24";

/** A table that has folded every change but the last `missed`. */
function scene(missed: number): { history: StoreHistory; table: LeaseTable } {
  const history = new StoreHistory();
  history.put(A, leaseValue("10.99.0.1"));
  history.put(B, leaseValue("10.99.0.2"));
  history.put(A, leaseValue("10.99.0.3"));
  history.delete(B);
  const table = new LeaseTable();
  for (const change of history.changes.slice(0, history.changes.length - missed)) {
    table.apply(change);
  }
  return { history, table };
}

describe("comparing the table with a listing", () => {
  it("finds nothing when they are equal, nor in keys that are not the table's", () => {
    const { history, table } = scene(0);
    assert.deepEqual(suspiciousKeys(table, history.listing()), []);
    history.put("twill/journal/1", "{}");
    assert.deepEqual(suspiciousKeys(table, history.listing()), []);
  });

  it("finds a missed delete, a missed change and a missed put", () => {
    const deleted = scene(1);
    assert.deepEqual(suspiciousKeys(deleted.table, deleted.history.listing()), [B]);
    const changed = scene(2);
    assert.deepEqual(suspiciousKeys(changed.table, changed.history.listing()), [A, B]);
    const { history, table } = scene(0);
    history.put(B, leaseValue("10.99.0.9"));
    assert.deepEqual(suspiciousKeys(table, history.listing()), [B]);
  });

  it("finds another value at the same revision", () => {
    const { history, table } = scene(0);
    const listing = history.listing();
    const entries = listing.entries.map((entry) => ({ ...entry, value: "{}" }));
    assert.deepEqual(suspiciousKeys(table, { ...listing, entries }), [A]);
  });

  it("believes the table when it is newer than the listing", () => {
    const old = scene(2).table;
    const { history, table } = scene(0);
    const listing = { revision: old.revision, entries: [...old.entries()] };
    assert.deepEqual(suspiciousKeys(table, listing), []);
    table.apply(history.put("subnets/10.5.3.0-24", leaseValue("10.99.0.7")));
    assert.deepEqual(suspiciousKeys(table, listing), []);
  });
});
