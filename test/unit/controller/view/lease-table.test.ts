/** The table is a function of the keys: the way there never matters. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { digestOf, formatDigest } from "../../../../common/lease/lease-digest.ts";
import { LeaseTable } from "../../../../controller/view/lease-table.ts";
import { leaseValue, recordValue } from "../../../support/lease-texts.ts";
import { seededRandom } from "../../../support/seeded-random.ts";
import { expansions } from "../../../support/state-sequences.ts";
import { type Keys, type KeyValue, StoreHistory } from "../../../support/store-history.ts";

/** Everything a reader of the table can see, in one comparable value. */
function shown(table: LeaseTable): unknown {
  const rows = [...table.rows.values()].toSorted((a, b) => (a.lease.key < b.lease.key ? -1 : 1));
  const nodes = rows.map(({ lease }) => lease.node).filter((node) => node !== "");
  return {
    revision: table.revision,
    digest: formatDigest(table.digest),
    rows: rows.map(({ bytes, ...row }) => ({ ...row, bytes: Buffer.from(bytes).toString("hex") })),
    held: nodes.map((node) => [node, table.heldBy(node)?.lease.key]),
    malformed: [...table.malformed.values()].toSorted((a, b) => (a.key < b.key ? -1 : 1)),
    candidates: table.candidates,
    config: table.config?.value,
    taken: [...table.takenKeys()].toSorted(),
  };
}

function listed(history: StoreHistory): LeaseTable {
  const table = new LeaseTable();
  table.replace(history.listing());
  return table;
}

function followed(history: StoreHistory): LeaseTable {
  const table = new LeaseTable();
  for (const change of history.changes) table.apply(change);
  return table;
}

function lease(key: string, publicIp: string, etcdLease = "77"): [string, KeyValue] {
  return [`subnets/${key}`, { value: leaseValue(publicIp), etcdLease }];
}

function record(node: string, key: string, publicIp: string): [string, KeyValue] {
  return [`twill/nodes/${node}`, { value: recordValue(node, key, publicIp), etcdLease: "0" }];
}

describe("the lease table", () => {
  it("joins subnets keys with node records into leases with a holder", () => {
    const history = new StoreHistory();
    history.commit(
      new Map([lease("10.5.1.0-24", "10.99.0.2"), record("a", "10.5.1.0-24", "10.99.0.2")]),
    );
    history.commit(new Map([lease("10.5.2.0-24", "10.99.0.3", "88")]));
    const table = followed(history);
    assert.equal(table.heldBy("a")?.lease.key, "10.5.1.0-24");
    assert.equal(table.rows.get("10.5.2.0-24")?.lease.node, "");
    assert.equal(table.digest, digestOf([...table.rows.values()].map((row) => row.lease)));
  });

  it("reports what each step changed for agents, and nothing when nothing did", () => {
    const history = new StoreHistory();
    const table = new LeaseTable();
    const first = table.apply(history.put("subnets/10.5.1.0-24", leaseValue("10.99.0.2")));
    assert.deepEqual(
      first?.upserts.map((row) => row.lease.key),
      ["10.5.1.0-24"],
    );
    // flannel renews by writing the same value on another etcd lease (contract 1.3).
    const renewed = table.apply(history.put("subnets/10.5.1.0-24", leaseValue("10.99.0.2"), "78"));
    assert.deepEqual(renewed?.upserts, []);
    assert.equal(table.rows.get("10.5.1.0-24")?.etcdLease, "78");
    const moved = table.apply(history.put("subnets/10.5.1.0-24", leaseValue("10.99.0.7"), "78"));
    assert.equal(moved?.upserts.length, 1);
    const gone = table.apply(history.delete("subnets/10.5.1.0-24"));
    assert.deepEqual(gone?.removes, ["10.5.1.0-24"]);
    assert.equal(table.digest, 0n);
  });

  it("ignores what is not newer than itself", () => {
    const history = new StoreHistory();
    const put = history.put("subnets/10.5.1.0-24", leaseValue("10.99.0.2"));
    const gone = history.delete("subnets/10.5.1.0-24");
    const table = followed(history);
    assert.equal(table.apply(put), undefined);
    assert.equal(table.apply(gone), undefined);
    assert.equal(table.rows.size, 0);
  });

  it("skips keys and values that are no leases, and says so once", () => {
    const history = new StoreHistory();
    const bad = ["10", "10.12.13.0", "10.12.13.300-24", "10.12.13.0-24hi", "x/10.5.1.0-24"];
    for (const key of bad) history.put(`subnets/${key}`, leaseValue("10.99.0.2"));
    history.put("subnets/10.5.1.0-24", "not JSON");
    history.put("subnets/10.5.2.0-24", '{"PublicIP":null}');
    history.put("subnets/10.5.3.7-24", leaseValue("10.99.0.3"));
    history.put("twill/nodes/a", "not JSON");
    history.put("subnets-elsewhere/10.5.9.0-24", leaseValue("10.99.0.9"));
    const table = new LeaseTable();
    const changes = history.changes.map((change) => table.apply(change));
    assert.equal(table.rows.size, 0);
    assert.equal(table.malformed.size, bad.length + 4);
    assert.equal(changes.flatMap((change) => change?.malformed ?? []).length, bad.length + 4);
    assert.deepEqual([...table.takenKeys()], ["10.5.1.0-24", "10.5.2.0-24", "10.5.3.7-24"]);
    const mended = table.apply(history.put("subnets/10.5.1.0-24", leaseValue("10.99.0.2")));
    assert.equal(mended?.upserts.length, 1);
    assert.equal(table.malformed.has("subnets/10.5.1.0-24"), false);
  });

  it("sees a dual-stack key, which a real flannel may write", () => {
    const history = new StoreHistory();
    history.put("subnets/10.5.1.0-24&fd05:0:0:1::-64", leaseValue("10.99.0.2"));
    assert.deepEqual([...listed(history).rows.keys()], ["10.5.1.0-24&fd05:0:0:1::-64"]);
  });

  it("does not give a stranger's lease to the node that had the subnet before", () => {
    const history = new StoreHistory();
    history.commit(
      new Map([lease("10.5.1.0-24", "10.99.0.2"), record("a", "10.5.1.0-24", "10.99.0.2")]),
    );
    history.delete("subnets/10.5.1.0-24");
    history.commit(new Map([lease("10.5.1.0-24", "10.99.0.2", "88")]));
    assert.equal(followed(history).heldBy("a"), undefined, "created after the record was written");
    const seized = new StoreHistory();
    seized.commit(
      new Map([lease("10.5.1.0-24", "10.99.0.2"), record("a", "10.5.1.0-24", "10.99.0.2")]),
    );
    seized.commit(new Map([lease("10.5.1.0-24", "10.99.0.3", "88")]));
    assert.equal(followed(seized).heldBy("a"), undefined, "overwritten by a real flannel");
  });

  it("gives a lease that two records name to the one written later", () => {
    const history = new StoreHistory();
    history.commit(
      new Map([lease("10.5.1.0-24", "10.99.0.2"), record("a", "10.5.1.0-24", "10.99.0.2")]),
    );
    history.commit(new Map([record("b", "10.5.1.0-24", "10.99.0.2")]));
    const table = followed(history);
    assert.equal(table.rows.get("10.5.1.0-24")?.lease.node, "b");
    assert.equal(table.heldBy("a"), undefined);
  });

  it("knows who leads: the oldest candidate", () => {
    const history = new StoreHistory();
    history.put("twill/election/1a", "one@10.0.0.1:7474");
    history.put("twill/election/2b", "two@10.0.0.2:7474");
    const table = followed(history);
    assert.deepEqual(
      table.candidates.map(({ value }) => value),
      ["one@10.0.0.1:7474", "two@10.0.0.2:7474"],
    );
    const change = table.apply(history.delete("twill/election/1a"));
    assert.equal(change?.leaderChanged, true);
    assert.equal(table.candidates[0]?.value, "two@10.0.0.2:7474");
  });

  it("finds changed attributes, not only changed subnets, when it is listed again", () => {
    const history = new StoreHistory();
    history.put("subnets/10.5.1.0-24", leaseValue("10.99.0.2"));
    history.put("subnets/10.5.2.0-24", leaseValue("10.99.0.3"));
    const table = listed(history);
    history.put("subnets/10.5.1.0-24", leaseValue("10.99.0.2", "aa:bb:cc:00:00:99"));
    history.delete("subnets/10.5.2.0-24");
    const change = table.replace(history.listing());
    assert.deepEqual(
      change.upserts.map((row) => row.lease.key),
      ["10.5.1.0-24"],
    );
    assert.deepEqual(change.removes, ["10.5.2.0-24"]);
    assert.deepEqual(table.replace(history.listing()).upserts, []);
  });

  it("depends on the keys alone, not on the way that led to them", () => {
    const key = fc.integer({ min: 1, max: 4 }).map((n) => `10.5.${n}.0-24`);
    const ip = fc.integer({ min: 1, max: 3 }).map((n) => `10.99.0.${n}`);
    const node = fc.constantFrom("a", "b", "c");
    const keyValue = fc.oneof(
      fc
        .record({ key, ip, etcdLease: fc.constantFrom("0", "77") })
        .map((l) => lease(l.key, l.ip, l.etcdLease)),
      fc.record({ node, key, ip }).map((r) => record(r.node, r.key, r.ip)),
      fc.constant<[string, KeyValue]>(["subnets/10.5.1.0-24", { value: "?", etcdLease: "0" }]),
      fc.constant<[string, KeyValue]>(["config", { value: "{}", etcdLease: "0" }]),
    );
    const state = fc.array(keyValue, { maxLength: 8 }).map((pairs): Keys => new Map(pairs));
    const states = fc.array(state, { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(states, fc.integer(), (sequence, seed) => {
        for (const { name, steps } of expansions(sequence, seededRandom(seed))) {
          const history = new StoreHistory();
          history.put("config", "{}");
          for (const { upserts, removes } of steps) history.commit(new Map(upserts), removes);
          const expected = shown(listed(history));
          assert.deepEqual(shown(followed(history)), expected, name);
          const relisted = listed(history);
          relisted.replace(history.listing());
          assert.deepEqual(shown(relisted), expected, `${name}, listed twice`);
        }
      }),
    );
  });
});
