/**
 * The port to the store. Everything that is decided about leases goes through it;
 * etcd-store.ts is the real one, test/support/memory-store.ts the reference implementation,
 * both pass test/contract/store.test.ts. Keys are relative to the prefix
 * ("subnets/10.5.1.0-24"); a range is a key prefix, "" for all.
 *
 * Faults are TwillError:
 * - STORE_UNAVAILABLE: no endpoint answered within the budget;
 * - STORE_TIMEOUT: a write's answer did not come, its outcome is unknown;
 * - STORE_DENIED: user, certificate or role do not allow it;
 * - STORE_FULL: etcd is out of space and takes no writes;
 * - STORE_COMPACTED: the history asked for is gone, list again;
 * - LEASE_LOST: a put named an etcd lease that is gone.
 * Reads may be retried inside, within a budget; writes never blindly. An aborted signal
 * makes every call reject with the signal's reason, also a running `watch`.
 */
import type { EtcdLeaseId, FencingToken, Revision } from "../../common/lease/lease.ts";

export interface Entry {
  readonly key: string;
  readonly value: string;
  readonly createRevision: Revision;
  readonly modRevision: Revision;
  /** "0": none (a reservation, when it is a subnets key). */
  readonly etcdLease: EtcdLeaseId;
}

export interface Listing {
  /** Store revision the listing is exact for. */
  readonly revision: Revision;
  /** In key order. */
  readonly entries: readonly Entry[];
}

/** All changes of one store revision below the range, in key order; revisions strictly increase. */
export interface ChangeSet {
  readonly revision: Revision;
  readonly puts: readonly Entry[];
  readonly deletes: readonly string[];
}

export type Compare =
  /** The key's create revision is exactly this (0: it does not exist). */
  | { readonly key: string; readonly createRevision: Revision }
  /** The key's mod revision is exactly this. */
  | { readonly key: string; readonly modRevision: Revision };

export type Write =
  | {
      readonly op: "put";
      readonly key: string;
      readonly value: string;
      readonly etcdLease: EtcdLeaseId;
    }
  | { readonly op: "delete"; readonly key: string };

/**
 * etcd takes at most 128 compares, 128 writes and 128 reads in one transaction, and each key
 * once among the writes; anything else is a BUG.
 */
export interface Transaction {
  readonly compares: readonly Compare[];
  readonly writes: readonly Write[];
  /** Keys read back when the compares fail. */
  readonly onConflict: readonly string[];
}

export type TransactionOutcome =
  | { readonly kind: "committed"; readonly revision: Revision }
  /** `found`: those of the `onConflict` keys that exist, in the order asked. */
  | { readonly kind: "conflict"; readonly revision: Revision; readonly found: readonly Entry[] };

export interface Store {
  /**
   * Identity of the cluster and prefix; revisions compare only within it. It changes when
   * etcd is rebuilt, so ask again after STORE_COMPACTED.
   */
  instance(signal: AbortSignal): Promise<string>;
  /** Every key below `range`, read linearizably, at `revision` when given. */
  list(range: string, options: ListOptions): Promise<Listing>;
  /**
   * Change sets after `after`, for ever, none lost and none twice whatever happens to
   * connections and members. Ends only by throwing: STORE_COMPACTED when history is gone
   * (or went back: etcd was restored from a backup), STORE_DENIED, or the signal's reason.
   */
  watch(range: string, after: Revision, signal: AbortSignal): AsyncIterable<ChangeSet>;
  /** One attempt. STORE_TIMEOUT leaves the outcome unknown: read and recognise. */
  transact(transaction: Transaction, signal: AbortSignal): Promise<TransactionOutcome>;
  /** etcd's minimum is about 2 seconds; a shorter TTL is lengthened. */
  grantLease(ttlSeconds: number, signal: AbortSignal): Promise<EtcdLeaseId>;
  /** Deletes its keys in one revision. A lease that is gone already is no fault. */
  revokeLease(id: EtcdLeaseId, signal: AbortSignal): Promise<void>;
  /** Remaining seconds, or undefined when the lease is gone. */
  timeToLive(id: EtcdLeaseId, signal: AbortSignal): Promise<number | undefined>;
  /**
   * Keeps alive once; answers the new TTL in seconds, undefined when the lease is gone. Many
   * may be under way at once: they share one stream.
   */
  keepAlive(id: EtcdLeaseId, signal: AbortSignal): Promise<number | undefined>;
}

export interface ListOptions {
  readonly revision?: Revision;
  /** Any member may answer, possibly with older data (for cheap periodic comparison). */
  readonly serializable?: boolean;
  readonly signal: AbortSignal;
}

/** What a leader holds: put into every guarded write as a compare. */
export interface Leadership {
  /** Election key relative to the prefix. */
  readonly key: string;
  readonly token: FencingToken;
  /** Aborted when this leadership has ended, by its own monotonic deadline at the latest. */
  readonly signal: AbortSignal;
}
