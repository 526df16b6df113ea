/**
 * The port's transactions in etcd's form; pure. Enums go as numbers: proto-loader turns an
 * unknown enum name silently into 0, and a fence spelled wrong would compare the version with
 * 0, which holds exactly when the election key is gone (measured).
 */
import type { ICompare, IRequestOp, ITxnRequest, ITxnResponse } from "etcd3";
import type { EtcdKeys } from "./etcd-keys.ts";
import type { Compare, Transaction, TransactionOutcome, Write } from "./store.ts";

const COMPARE_EQUAL = 0;
const TARGET_CREATE_REVISION = 1;
const TARGET_MOD_REVISION = 2;

export function encodeTransaction(keys: EtcdKeys, transaction: Transaction): ITxnRequest {
  return {
    compare: transaction.compares.map((compare) => encodeCompare(keys, compare)),
    success: transaction.writes.map((write) => encodeWrite(keys, write)),
    failure: transaction.onConflict.map((key) => ({ request_range: { key: keys.key(key) } })),
  };
}

export function decodeOutcome(keys: EtcdKeys, response: ITxnResponse): TransactionOutcome {
  const revision = Number(response.header.revision);
  if (response.succeeded) return { kind: "committed", revision };
  const found = response.responses
    .flatMap((each) => each.response_range.kvs)
    .map((kv) => keys.entry(kv));
  return { kind: "conflict", revision, found };
}

function encodeCompare(keys: EtcdKeys, compare: Compare): ICompare {
  const key = keys.key(compare.key);
  return "createRevision" in compare
    ? {
        key,
        result: COMPARE_EQUAL,
        target: TARGET_CREATE_REVISION,
        create_revision: compare.createRevision,
      }
    : {
        key,
        result: COMPARE_EQUAL,
        target: TARGET_MOD_REVISION,
        mod_revision: compare.modRevision,
      };
}

function encodeWrite(keys: EtcdKeys, write: Write): IRequestOp {
  const key = keys.key(write.key);
  if (write.op === "delete") return { request_delete_range: { key } };
  return {
    request_put: { key, value: Buffer.from(write.value), lease: write.etcdLease },
  };
}
