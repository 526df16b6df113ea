/** Writes under way count as done, once, until the table shows them or they failed. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseNetworkConfig } from "../../../../common/config/parse-network-config.ts";
import { formatCidr } from "../../../../common/net/cidr.ts";
import { Ledger, type PendingWrite } from "../../../../controller/lease/ledger.ts";
import { LeaseTable } from "../../../../controller/view/lease-table.ts";
import {
  leaseValue,
  nodeRecord,
  recordValue,
  subnetsOf,
  vxlanAttrs,
} from "../../../support/lease-texts.ts";
import { StoreHistory } from "../../../support/store-history.ts";

function setup(): { history: StoreHistory; table: LeaseTable; ledger: Ledger } {
  const parsed = parseNetworkConfig('{"Network":"10.5.0.0/20","Backend":{"Type":"vxlan"}}');
  assert.ok(parsed.kind === "valid");
  const table = new LeaseTable();
  return { history: new StoreHistory(), table, ledger: new Ledger(table, parsed.config) };
}

function writeOf(node: string, key: string, publicIp: string): PendingWrite {
  const lease = { key, subnets: subnetsOf(key), attrs: vxlanAttrs(publicIp), node };
  return { record: nodeRecord(node, key, publicIp), put: { lease, etcdLease: "77" }, removes: [] };
}

function lowest(ledger: Ledger): string {
  const free = ledger.taken.v4?.lowestFree();
  return free === undefined ? "full" : formatCidr(free);
}

describe("the ledger", () => {
  it("counts a write as done from the moment it is decided", () => {
    const { ledger } = setup();
    ledger.hold("a", writeOf("a", "10.5.1.0-24", "10.99.0.2"));
    assert.equal(lowest(ledger), "10.5.2.0/24");
    assert.equal(ledger.held("a")?.lease.key, "10.5.1.0-24");
    const [byIp] = ledger.withPublicIp({ family: 4, value: 0x0a63_0002n });
    assert.equal(byIp?.lease.node, "a");
    assert.equal(ledger.overlapping(subnetsOf("10.5.0.0-22")).length, 1);
  });

  it("forgets a write that did not happen", () => {
    const { ledger } = setup();
    ledger.hold("a", writeOf("a", "10.5.1.0-24", "10.99.0.2"));
    ledger.drop("a");
    assert.equal(lowest(ledger), "10.5.1.0/24");
    assert.equal(ledger.held("a"), undefined);
  });

  it("holds an acknowledged write until the table has it, and counts it once", () => {
    const { history, table, ledger } = setup();
    ledger.hold("a", writeOf("a", "10.5.1.0-24", "10.99.0.2"));
    const change = history.commit(
      new Map([
        ["subnets/10.5.1.0-24", { value: leaseValue("10.99.0.2"), etcdLease: "77" }],
        ["twill/nodes/a", { value: recordValue("a", "10.5.1.0-24", "10.99.0.2"), etcdLease: "0" }],
      ]),
    );
    ledger.confirm("a", change.revision);
    assert.equal(ledger.record("a")?.modRevision, change.revision);
    assert.equal(lowest(ledger), "10.5.2.0/24");
    const seen = table.apply(change);
    assert.ok(seen);
    ledger.observe(seen);
    assert.equal(ledger.held("a")?.modRevision, change.revision);
    assert.equal(lowest(ledger), "10.5.2.0/24");
    const gone = table.apply(history.delete("subnets/10.5.1.0-24"));
    assert.ok(gone);
    ledger.observe(gone);
    assert.equal(lowest(ledger), "10.5.1.0/24");
    assert.equal(ledger.held("a"), undefined);
  });

  it("sees a lease that is being given back as gone, but its subnet as taken until it is", () => {
    const { history, table, ledger } = setup();
    const put = table.apply(history.put("subnets/10.5.1.0-24", leaseValue("10.99.0.2")));
    assert.ok(put);
    ledger.observe(put);
    const record = nodeRecord("a", "10.5.1.0-24", "10.99.0.2", { released: "now" });
    ledger.hold("a", { record, put: undefined, removes: ["10.5.1.0-24"] });
    assert.deepEqual(ledger.withPublicIp({ family: 4, value: 0x0a63_0002n }), []);
    assert.equal(lowest(ledger), "10.5.2.0/24");
  });

  it("counts everything again for another range, pending writes too", () => {
    const { history, table, ledger } = setup();
    const put = table.apply(history.put("subnets/10.6.0.0-25", leaseValue("10.99.0.2")));
    assert.ok(put);
    ledger.observe(put);
    ledger.hold("b", writeOf("b", "10.6.0.128-25", "10.99.0.3"));
    const other = parseNetworkConfig(
      '{"Network":"10.6.0.0/20","SubnetLen":25,"SubnetMin":"10.6.0.0","Backend":{"Type":"vxlan"}}',
    );
    assert.ok(other.kind === "valid");
    ledger.setConfig(other.config);
    assert.equal(lowest(ledger), "10.6.1.0/25");
    ledger.drop("b");
    assert.equal(lowest(ledger), "10.6.0.128/25");
  });
});
