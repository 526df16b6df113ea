/**
 * The port to the store. Everything that is decided about leases goes through it;
 * etcd-store.ts is the real one, memory-store.ts the reference implementation, both pass
 * test/contract/store. Keys are relative to the prefix ("subnets/10.5.1.0-24").
 *
 * Errors are TwillError: STORE_UNAVAILABLE, STORE_TIMEOUT (outcome unknown), STORE_DENIED,
 * STORE_FULL, STORE_COMPACTED. Reads may be retried inside; writes never blindly.
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
  readonly entries: readonly Entry[];
}

/** All changes of one store revision, in key order; revisions strictly increase. */
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

export interface Transaction {
  readonly compares: readonly Compare[];
  readonly writes: readonly Write[];
  /** Keys read back when the compares fail. */
  readonly onConflict: readonly string[];
}

export type TransactionOutcome =
  | { readonly kind: "committed"; readonly revision: Revision }
  | { readonly kind: "conflict"; readonly revision: Revision; readonly found: readonly Entry[] };

export interface Store {
  /** Identity of the cluster and prefix; revisions compare only within it. */
  instance(signal: AbortSignal): Promise<string>;
  /** Every key under `range` (a key prefix, "" for all), read linearizably, at `revision` when given. */
  list(range: string, options: ListOptions): Promise<Listing>;
  /** Change sets after `after`, for ever; throws STORE_COMPACTED when history is gone. */
  watch(range: string, after: Revision, signal: AbortSignal): AsyncIterable<ChangeSet>;
  /** One attempt. STORE_TIMEOUT and STORE_UNAVAILABLE leave the outcome unknown: read and recognise. */
  transact(transaction: Transaction, signal: AbortSignal): Promise<TransactionOutcome>;
  grantLease(ttlSeconds: number, signal: AbortSignal): Promise<EtcdLeaseId>;
  revokeLease(id: EtcdLeaseId, signal: AbortSignal): Promise<void>;
  /** Remaining seconds, or undefined when the lease is gone. */
  timeToLive(id: EtcdLeaseId, signal: AbortSignal): Promise<number | undefined>;
  /** Keeps alive once; answers the new TTL in seconds, undefined when the lease is gone. */
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
