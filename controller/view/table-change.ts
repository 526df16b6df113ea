/** What one step of the store's history did to the lease table; plain data between its readers. */
import type { EtcdLeaseId, Lease, Revision, Subnets } from "../../common/lease/lease.ts";

/** A lease of the table, with what etcd says about its key and its bytes for the stream. */
export interface LeaseRow {
  readonly lease: Lease;
  /** "0": a reservation. */
  readonly etcdLease: EtcdLeaseId;
  readonly createRevision: Revision;
  readonly modRevision: Revision;
  /** See lease-record.ts. */
  readonly bytes: Uint8Array;
}

/** A key below subnets/ or twill/nodes/ that is not what it should be; skipped, and harms nobody. */
export interface MalformedKey {
  /** Relative to the prefix. */
  readonly key: string;
  readonly reason: string;
  /** Set when the key is a subnet all the same: it is not given out while the key stands. */
  readonly blocks: Subnets | undefined;
}

export interface TableChange {
  readonly revision: Revision;
  /** Leases that are new or differ in what agents see, in no order. */
  readonly upserts: readonly LeaseRow[];
  /** Lease keys that are gone. */
  readonly removes: readonly string[];
  /** Those of the removed that nobody gave back: their etcd lease ended, or somebody deleted the key. */
  readonly ended: readonly LeaseRow[];
  /** Lease keys that may occupy something else, or belong to another etcd lease, than before. */
  readonly touched: readonly string[];
  /** Nodes whose record or held lease may be another than before. */
  readonly nodes: readonly string[];
  /** Keys that became malformed. */
  readonly malformed: readonly MalformedKey[];
  readonly configChanged: boolean;
  readonly leaderChanged: boolean;
  /** Entries of the journal that came in the same revision; 0 also when it was a listing. */
  readonly journalEntries: number;
}

/** A change of the table alone, that no key of etcd's stands behind. */
export function tableChange(
  revision: Revision,
  parts: Partial<Omit<TableChange, "revision">>,
): TableChange {
  return {
    ...{ revision, upserts: [], removes: [], ended: [], touched: [], nodes: [], malformed: [] },
    ...{ configChanged: false, journalEntries: 0, leaderChanged: false },
    ...parts,
  };
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}
