/** Table, history and listeners move together; history that does not lead here is none. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { silentLogger } from "../../../../common/log.ts";
import { LeaseTable } from "../../../../controller/view/lease-table.ts";
import { LeaseView, type ViewChange } from "../../../../controller/view/lease-view.ts";
import { leaseValue } from "../../../support/lease-texts.ts";
import { StoreHistory } from "../../../support/store-history.ts";

function storeOf(count: number): StoreHistory {
  const history = new StoreHistory();
  for (let n = 1; n <= count; n += 1) {
    history.put(`subnets/10.5.${n}.0-24`, leaseValue(`10.99.0.${n}`));
  }
  return history;
}

describe("the lease view", () => {
  it("takes the history that led to a listing", () => {
    const store = storeOf(3);
    const past = new LeaseTable();
    const origin = { revision: past.revision, digest: past.digest };
    const steps = store.changes.flatMap((changes) => {
      const change = past.apply(changes);
      return change === undefined ? [] : [{ change, digest: past.digest }];
    });
    const view = new LeaseView(silentLogger);
    view.load(store.listing(), "x", { origin, steps });
    assert.equal(view.chain.length, 4);
    assert.equal(view.chain.newestRevision, store.revision);
    const partial = new LeaseView(silentLogger);
    partial.load(store.listing(), "x", { origin, steps: steps.slice(0, 2) });
    assert.equal(partial.chain.length, 1, "it ends elsewhere");
    assert.equal(partial.chain.head.digest, partial.table.digest);
  });

  it("refuses a listing that is older, or of another cluster", () => {
    const store = storeOf(2);
    const older = store.listing();
    store.put("subnets/10.5.9.0-24", leaseValue("10.99.0.9"));
    const view = new LeaseView(silentLogger);
    view.load(store.listing(), "x");
    assert.equal(view.replace(older, "x"), undefined);
    assert.equal(view.replace(store.listing(), "y"), undefined);
    assert.equal(view.table.rows.size, 3);
  });

  it("tells listeners in the same turn, until they leave", () => {
    const store = storeOf(0);
    const view = new LeaseView(silentLogger);
    const heard: ViewChange[] = [];
    const leave = view.onChange((change) => heard.push(change));
    view.load(store.listing(), "x");
    view.apply(store.put("subnets/10.5.9.0-24", leaseValue("10.99.0.9")));
    leave();
    view.apply(store.put("subnets/10.5.8.0-24", leaseValue("10.99.0.8")));
    assert.deepEqual(
      heard.map(({ isReset, change }) => [isReset, change.upserts.length]),
      [
        [true, 0],
        [false, 1],
      ],
    );
  });
});
