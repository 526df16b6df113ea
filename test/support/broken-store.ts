/** A store that fails or lies on demand, over another that does not. */
import type { EtcdLeaseId, Revision } from "../../common/lease/lease.ts";
import type {
  ChangeSet,
  Listing,
  ListOptions,
  Store,
  Transaction,
  TransactionOutcome,
} from "../../controller/store/store.ts";

/** The calls that can be made to fail. */
export type StoreCall =
  | "instance"
  | "list"
  | "watch"
  | "transact"
  | "grantLease"
  | "revokeLease"
  | "keepAlive";

export class BrokenStore implements Store {
  readonly #inner: Store;
  readonly calls = new Map<StoreCall, number>();
  /** Throws before the call is made: nothing happened. */
  readonly failing = new Map<StoreCall, Error>();
  /** Throws after a transaction was made: its outcome is unknown to the caller. */
  losing: Error | undefined;
  /** Change sets of these revisions never reach a watcher. */
  readonly hidden = new Set<Revision>();
  /** Runs before the next transaction is made: what a rival does just then. */
  rival: (() => void) | undefined;

  constructor(inner: Store) {
    this.#inner = inner;
  }

  async instance(signal: AbortSignal): Promise<string> {
    this.#count("instance");
    return this.#inner.instance(signal);
  }

  async list(range: string, options: ListOptions): Promise<Listing> {
    this.#count("list");
    return this.#inner.list(range, options);
  }

  async *watch(range: string, after: Revision, signal: AbortSignal): AsyncGenerator<ChangeSet> {
    this.#count("watch");
    for await (const changes of this.#inner.watch(range, after, signal)) {
      const failure = this.failing.get("watch");
      if (failure !== undefined) throw failure;
      if (!this.hidden.has(changes.revision)) yield changes;
    }
  }

  async transact(transaction: Transaction, signal: AbortSignal): Promise<TransactionOutcome> {
    this.#count("transact");
    const { rival, losing } = this;
    this.rival = undefined;
    rival?.();
    const outcome = await this.#inner.transact(transaction, signal);
    if (losing === undefined) return outcome;
    this.losing = undefined;
    throw losing;
  }

  async grantLease(ttlSeconds: number, signal: AbortSignal): Promise<EtcdLeaseId> {
    this.#count("grantLease");
    return this.#inner.grantLease(ttlSeconds, signal);
  }

  async revokeLease(id: EtcdLeaseId, signal: AbortSignal): Promise<void> {
    this.#count("revokeLease");
    return this.#inner.revokeLease(id, signal);
  }

  async timeToLive(id: EtcdLeaseId, signal: AbortSignal): Promise<number | undefined> {
    return this.#inner.timeToLive(id, signal);
  }

  async keepAlive(id: EtcdLeaseId, signal: AbortSignal): Promise<number | undefined> {
    this.#count("keepAlive");
    return this.#inner.keepAlive(id, signal);
  }

  #count(call: StoreCall): void {
    this.calls.set(call, (this.calls.get(call) ?? 0) + 1);
    const failure = this.failing.get(call);
    if (failure !== undefined) throw failure;
  }
}
