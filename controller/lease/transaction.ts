/**
 * The one transaction that carries out a decision: fenced by the leader's election key, exact
 * about every key it touches, subnets key and node record together (design 3).
 */

import { type EtcdLeaseId, type LeaseAttrs, NO_ETCD_LEASE } from "../../common/lease/lease.ts";
import { encodeLeaseValue } from "../../common/lease/lease-json.ts";
import { formatSubnetKey } from "../../common/lease/subnet-key.ts";
import type { KeyChange, KeyState } from "../journal/journal-entry.ts";
import type { Compare, Leadership, Transaction, Write } from "../store/store.ts";
import { nodeKey, subnetKey } from "../view/keys.ts";
import type { Decision } from "./decide.ts";
import type { HeldLease, StoredNodeRecord } from "./lease-book.ts";
import type { PendingWrite } from "./ledger.ts";
import { encodeNodeRecord, type NodeRecord } from "./node-record.ts";

/** A decision that changes the store. */
export type WritingDecision = Extract<
  Decision,
  { readonly kind: "update" | "claim" | "take-over" | "allocate" }
>;

export type Fence = Pick<Leadership, "key" | "token">;

/** A transaction and what it will have done. */
export interface PlannedWrite {
  readonly transaction: Transaction;
  readonly write: PendingWrite;
  /** Of the keys below subnets/, for the journal. */
  readonly changes: readonly KeyChange[];
}

export interface Registration {
  readonly node: string;
  readonly decision: WritingDecision;
  /** The node's record as it stands. */
  readonly stored: StoredNodeRecord | undefined;
  /** ISO 8601. */
  readonly now: string;
}

/** Only a lease that is new to Twill gets an etcd lease; a reservation never does. */
export function needsEtcdLease(decision: WritingDecision): boolean {
  return decision.kind === "allocate" || decision.kind === "take-over";
}

/** `granted` is used when `needsEtcdLease` says so. */
export function planRegistration(
  registration: Registration,
  fence: Fence,
  granted: EtcdLeaseId,
): PlannedWrite {
  const { node, decision, stored, now } = registration;
  const { attrs } = decision;
  const { subnets } = decision.kind === "allocate" ? decision : decision.held.lease;
  const key = formatSubnetKey(subnets);
  const etcdLease =
    decision.kind === "update" || decision.kind === "claim" ? decision.held.etcdLease : granted;
  const known = stored?.record.firstSeen ?? "";
  const firstSeen = known === "" ? now : known;
  const record: NodeRecord = {
    ...{ name: node, subnet: key, attrs, firstSeen, lastRegistered: now },
    ...{ released: "", drained: "" },
  };
  const replaced = decision.kind === "allocate" ? decision.instead : undefined;
  const held = decision.kind === "allocate" ? undefined : decision.held;
  const removes = replaced === undefined ? [] : [replaced.lease.key];
  return {
    transaction: transactionOf(fence, {
      compares: [
        held === undefined ? { key: subnetKey(key), createRevision: 0 } : unchanged(held),
        ...(replaced === undefined ? [] : [unchanged(replaced)]),
        recordUnchanged(node, stored),
      ],
      writes: [put(subnetKey(key), encodeLeaseValue(attrs), etcdLease), putRecord(record)],
      removes,
    }),
    write: { record, put: { lease: { key, subnets, attrs, node }, etcdLease }, removes },
    changes: [
      {
        key: subnetKey(key),
        before: held === undefined ? undefined : stateOf(held.lease.attrs, held.etcdLease),
        after: stateOf(attrs, etcdLease),
      },
      ...(replaced === undefined ? [] : [removalOf(replaced)]),
    ],
  };
}

/** Gives a lease back. A reservation's key stays for ever; only its holder goes. */
export function planRelease(
  held: HeldLease,
  stored: StoredNodeRecord,
  fence: Fence,
  now: string,
): PlannedWrite {
  const record: NodeRecord = { ...stored.record, released: now };
  const removes = held.etcdLease === NO_ETCD_LEASE ? [] : [held.lease.key];
  return {
    transaction: transactionOf(fence, {
      compares: [unchanged(held), recordUnchanged(record.name, stored)],
      writes: [putRecord(record)],
      removes,
    }),
    write: { record, put: undefined, removes },
    changes: removes.length === 0 ? [] : [removalOf(held)],
  };
}

/** The same write with one more key in its transaction, which tells of it. */
export function withWrite(planned: PlannedWrite, write: Write): PlannedWrite {
  const { transaction } = planned;
  return {
    ...planned,
    transaction: { ...transaction, writes: [...transaction.writes, write] },
  };
}

function removalOf({ lease, etcdLease }: HeldLease): KeyChange {
  return {
    key: subnetKey(lease.key),
    before: stateOf(lease.attrs, etcdLease),
    after: undefined,
  };
}

function stateOf(attrs: LeaseAttrs, etcdLease: EtcdLeaseId): KeyState {
  return { value: encodeLeaseValue(attrs), forever: etcdLease === NO_ETCD_LEASE };
}

/** True when a key read back after an unknown outcome is what this write would have left. */
export function isWritten(
  transaction: Transaction,
  found: readonly { readonly key: string; readonly value: string; readonly etcdLease: string }[],
): boolean {
  return transaction.writes.every((write) => {
    const entry = found.find(({ key }) => key === write.key);
    if (write.op === "delete") return entry === undefined;
    return entry?.value === write.value && entry.etcdLease === write.etcdLease;
  });
}

/** True when the transaction failed because somebody else leads by now. */
export function isFenced(
  fence: Fence,
  found: readonly { readonly key: string; readonly createRevision: number }[],
): boolean {
  return !found.some(
    ({ key, createRevision }) => key === fence.key && createRevision === fence.token,
  );
}

function transactionOf(
  fence: Fence,
  parts: {
    readonly compares: readonly Compare[];
    readonly writes: readonly Write[];
    readonly removes: readonly string[];
  },
): Transaction {
  const deletes = parts.removes.map((key): Write => ({ op: "delete", key: subnetKey(key) }));
  const compares = [{ key: fence.key, createRevision: fence.token }, ...parts.compares];
  return {
    compares,
    writes: [...parts.writes, ...deletes],
    onConflict: compares.map(({ key }) => key),
  };
}

function unchanged({ lease, modRevision }: HeldLease): Compare {
  return { key: subnetKey(lease.key), modRevision };
}

function recordUnchanged(node: string, stored: StoredNodeRecord | undefined): Compare {
  const key = nodeKey(node);
  return stored === undefined
    ? { key, createRevision: 0 }
    : { key, modRevision: stored.modRevision };
}

function put(key: string, value: string, etcdLease: EtcdLeaseId): Write {
  return { op: "put", key, value, etcdLease };
}

/** Records outlive their leases: that is how a node gets its subnet back. */
function putRecord(record: NodeRecord): Write {
  return put(nodeKey(record.name), encodeNodeRecord(record), NO_ETCD_LEASE);
}
