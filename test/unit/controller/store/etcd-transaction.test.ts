/** Transactions in etcd's form; that they mean what they say is the contract suite's to show. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CompareResult, CompareTarget } from "etcd3";
import { EtcdKeys } from "../../../../controller/store/etcd-keys.ts";
import { encodeTransaction } from "../../../../controller/store/etcd-transaction.ts";

describe("a transaction for etcd", () => {
  it("compares with the numbers of etcd's enums, never with names", () => {
    const { compare } = encodeTransaction(new EtcdKeys("/p"), {
      compares: [
        { key: "a", createRevision: 7 },
        { key: "b", modRevision: 8 },
      ],
      writes: [],
      onConflict: [],
    });
    assert.deepEqual(compare, [
      {
        key: Buffer.from("/p/a"),
        result: CompareResult.Equal,
        target: CompareTarget.Create,
        create_revision: 7,
      },
      {
        key: Buffer.from("/p/b"),
        result: CompareResult.Equal,
        target: CompareTarget.Mod,
        mod_revision: 8,
      },
    ]);
    for (const each of compare ?? []) assert.equal(typeof each.target, "number");
  });

  it("writes below the prefix, with the etcd lease", () => {
    const request = encodeTransaction(new EtcdKeys("/p"), {
      compares: [],
      writes: [
        { op: "put", key: "a", value: "1", etcdLease: "5" },
        { op: "delete", key: "b" },
      ],
      onConflict: ["c"],
    });
    assert.deepEqual(request.success, [
      { request_put: { key: Buffer.from("/p/a"), value: Buffer.from("1"), lease: "5" } },
      { request_delete_range: { key: Buffer.from("/p/b") } },
    ]);
    assert.deepEqual(request.failure, [{ request_range: { key: Buffer.from("/p/c") } }]);
  });
});
