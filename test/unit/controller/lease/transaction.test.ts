/** What is compared and written for each decision, and how its outcome is recognised. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { HeldLease } from "../../../../controller/lease/lease-book.ts";
import {
  isFenced,
  isWritten,
  needsEtcdLease,
  planRegistration,
  planRelease,
} from "../../../../controller/lease/transaction.ts";
import { leaseValue, nodeRecord, subnetsOf, vxlanAttrs } from "../../../support/lease-texts.ts";

const FENCE = { key: "twill/election/1a", token: 40 };
const NOW = "2024-05-05T00:00:00.000Z";
const ATTRS = vxlanAttrs("10.99.0.2");
const fence = { key: FENCE.key, createRevision: 40 };

function held(key: string, etcdLease: string): HeldLease {
  const lease = { key, subnets: subnetsOf(key), attrs: vxlanAttrs("10.99.0.9"), node: "a" };
  return { lease, etcdLease, modRevision: 50 };
}

describe("the transaction of a registration", () => {
  it("creates subnets key and node record together, fenced, only where nothing was", () => {
    const decision = {
      kind: "allocate",
      subnets: subnetsOf("10.5.1.0-24"),
      attrs: ATTRS,
      hinted: false,
      instead: undefined,
    } as const;
    const registration = { node: "a", decision, stored: undefined, now: NOW };
    const { transaction, write } = planRegistration(registration, FENCE, "123");
    assert.deepEqual(transaction.compares, [
      fence,
      { key: "subnets/10.5.1.0-24", createRevision: 0 },
      { key: "twill/nodes/a", createRevision: 0 },
    ]);
    assert.deepEqual(
      transaction.writes.map((each) => [each.op, each.key]),
      [
        ["put", "subnets/10.5.1.0-24"],
        ["put", "twill/nodes/a"],
      ],
    );
    const [subnet, record] = transaction.writes;
    assert.ok(subnet?.op === "put" && record?.op === "put");
    assert.equal(subnet.value, leaseValue("10.99.0.2"));
    assert.equal(subnet.etcdLease, "123");
    assert.equal(record.etcdLease, "0", "the record outlives the lease");
    assert.equal(write.record.firstSeen, NOW);
    assert.equal(write.put?.lease.key, "10.5.1.0-24");
  });

  it("moves in one step: the new key is new, the old one is as it was seen", () => {
    const decision = {
      kind: "allocate",
      subnets: subnetsOf("10.5.1.0-24"),
      attrs: ATTRS,
      hinted: false,
      instead: held("10.6.1.0-24", "77"),
    } as const;
    const stored = { record: nodeRecord("a", "10.6.1.0-24", "10.99.0.9"), modRevision: 51 };
    const registration = { node: "a", decision, stored, now: NOW };
    const { transaction, write } = planRegistration(registration, FENCE, "123");
    assert.deepEqual(transaction.compares, [
      fence,
      { key: "subnets/10.5.1.0-24", createRevision: 0 },
      { key: "subnets/10.6.1.0-24", modRevision: 50 },
      { key: "twill/nodes/a", modRevision: 51 },
    ]);
    assert.deepEqual(transaction.writes.at(-1), { op: "delete", key: "subnets/10.6.1.0-24" });
    assert.deepEqual(write.removes, ["10.6.1.0-24"]);
    assert.equal(write.record.firstSeen, stored.record.firstSeen);
  });

  it("keeps the etcd lease on an update, and none on a reservation", () => {
    for (const [kind, etcdLease] of [
      ["update", "77"],
      ["claim", "0"],
      ["update", "0"],
    ] as const) {
      const decision = { kind, held: held("10.5.1.0-24", etcdLease), attrs: ATTRS };
      assert.equal(needsEtcdLease(decision), false);
      const registration = { node: "a", decision, stored: undefined, now: NOW };
      const [put] = planRegistration(registration, FENCE, "0").transaction.writes;
      assert.ok(put?.op === "put");
      assert.equal(put.etcdLease, etcdLease);
    }
  });

  it("puts a lease that was flannel's on an etcd lease of its own", () => {
    const decision = { kind: "take-over", held: held("10.5.1.0-24", "88"), attrs: ATTRS } as const;
    assert.equal(needsEtcdLease(decision), true);
    const registration = { node: "a", decision, stored: undefined, now: NOW };
    const { transaction } = planRegistration(registration, FENCE, "123");
    assert.ok(transaction.writes[0]?.op === "put");
    assert.equal(transaction.writes[0].etcdLease, "123");
    assert.deepEqual(transaction.compares[1], { key: "subnets/10.5.1.0-24", modRevision: 50 });
  });
});

describe("the transaction of a release", () => {
  const stored = { record: nodeRecord("a", "10.5.1.0-24", "10.99.0.9"), modRevision: 51 };

  it("deletes the key and keeps the record, which remembers the subnet", () => {
    const { transaction, write } = planRelease(held("10.5.1.0-24", "77"), stored, FENCE, NOW);
    assert.deepEqual(transaction.writes.at(-1), { op: "delete", key: "subnets/10.5.1.0-24" });
    assert.equal(write.record.subnet, "10.5.1.0-24");
    assert.equal(write.record.released, NOW);
    assert.equal(write.put, undefined);
  });

  it("leaves the key of a reservation", () => {
    const { transaction } = planRelease(held("10.5.1.0-24", "0"), stored, FENCE, NOW);
    assert.deepEqual(
      transaction.writes.map(({ key }) => key),
      ["twill/nodes/a"],
    );
  });
});

describe("what came of a transaction", () => {
  const transaction = planRelease(
    held("10.5.1.0-24", "77"),
    { record: nodeRecord("a", "10.5.1.0-24", "10.99.0.9"), modRevision: 51 },
    FENCE,
    NOW,
  ).transaction;
  const [put] = transaction.writes;

  it("is recognised by every value, etcd lease and absence it would have left", () => {
    assert.ok(put?.op === "put");
    const record = { key: put.key, value: put.value, etcdLease: put.etcdLease };
    assert.equal(isWritten(transaction, [record]), true);
    assert.equal(isWritten(transaction, [{ ...record, etcdLease: "9" }]), false);
    assert.equal(isWritten(transaction, [{ ...record, value: "{}" }]), false);
    assert.equal(isWritten(transaction, []), false);
    const still = { key: "subnets/10.5.1.0-24", value: "", etcdLease: "77" };
    assert.equal(isWritten(transaction, [record, still]), false);
  });

  it("was fenced off when the election key is gone or another's", () => {
    assert.equal(isFenced(FENCE, []), true);
    assert.equal(isFenced(FENCE, [{ key: FENCE.key, createRevision: 41 }]), true);
    assert.equal(isFenced(FENCE, [{ key: FENCE.key, createRevision: 40 }]), false);
  });
});
