/**
 * A store as one replica sees it, with the faults of what lies between: unreachable (every call
 * fails), hung (nothing answers), or an answer lost after the write was done; and with the
 * faults of etcd itself: calls it refuses, events it forgets, a rival that writes first.
 * Several of them over one MemoryStore are several replicas of a partitioned cluster.
 */
import { Trigger } from "../../common/async/trigger.ts";
import { TwillError } from "../../common/errors.ts";
import type { EtcdLeaseId, Revision } from "../../common/lease/lease.ts";
import type {
  ChangeSet,
  Listing,
  ListOptions,
  Store,
  Transaction,
  TransactionOutcome,
} from "../../controller/store/store.ts";

export type Link = "up" | "down" | "hung";
export type StoreCall = Exclude<keyof Store, "watch">;

export class FaultyStore implements Store {
  readonly #inner: Store;
  readonly #waiting = new Set<Trigger>();
  readonly #lost: StoreCall[] = [];
  #link: Link = "up";
  /** Calls that etcd refuses, until taken out again; a running watch ends with the next change. */
  readonly refusing = new Map<StoreCall | "watch", Error>();
  /** Change sets of these revisions never reach a watcher. */
  readonly hidden = new Set<Revision>();
  /** What a rival does just before the next transaction; consumed by it. */
  rival: (() => void) | undefined;
  /** How often each call was made. */
  readonly calls = new Map<StoreCall | "watch", number>();

  constructor(inner: Store) {
    this.#inner = inner;
  }

  set link(link: Link) {
    this.#link = link;
    for (const waiting of this.#waiting) waiting.kick();
  }

  /** The next such call is done, but its answer is lost: STORE_TIMEOUT. */
  loseAnswer(call: StoreCall): void {
    this.#lost.push(call);
  }

  /** Answers that were to be lost and are not yet: empty when every fault was consumed. */
  get unconsumed(): readonly StoreCall[] {
    return this.#lost;
  }

  instance(signal: AbortSignal): Promise<string> {
    return this.#call("instance", signal, () => this.#inner.instance(signal));
  }

  list(range: string, options: ListOptions): Promise<Listing> {
    return this.#call("list", options.signal, () => this.#inner.list(range, options));
  }

  async *watch(range: string, after: Revision, signal: AbortSignal): AsyncGenerator<ChangeSet> {
    this.#count("watch");
    // The real watch outlives a cut link: it goes on where it was when the link is back.
    await this.#untilUp(signal);
    for await (const change of this.#inner.watch(range, after, signal)) {
      await this.#untilUp(signal);
      this.#refuse("watch");
      if (!this.hidden.has(change.revision)) yield change;
    }
  }

  transact(transaction: Transaction, signal: AbortSignal): Promise<TransactionOutcome> {
    return this.#call("transact", signal, () => {
      const { rival } = this;
      this.rival = undefined;
      rival?.();
      return this.#inner.transact(transaction, signal);
    });
  }

  grantLease(ttlSeconds: number, signal: AbortSignal): Promise<EtcdLeaseId> {
    return this.#call("grantLease", signal, () => this.#inner.grantLease(ttlSeconds, signal));
  }

  revokeLease(id: EtcdLeaseId, signal: AbortSignal): Promise<void> {
    return this.#call("revokeLease", signal, () => this.#inner.revokeLease(id, signal));
  }

  timeToLive(id: EtcdLeaseId, signal: AbortSignal): Promise<number | undefined> {
    return this.#call("timeToLive", signal, () => this.#inner.timeToLive(id, signal));
  }

  keepAlive(id: EtcdLeaseId, signal: AbortSignal): Promise<number | undefined> {
    return this.#call("keepAlive", signal, () => this.#inner.keepAlive(id, signal));
  }

  async #call<T>(name: StoreCall, signal: AbortSignal, run: () => Promise<T>): Promise<T> {
    this.#count(name);
    if (this.#link === "down") throw new TwillError("STORE_UNAVAILABLE", "etcd is unreachable");
    await this.#untilUp(signal);
    this.#refuse(name);
    const answer = await run();
    const lost = this.#lost.indexOf(name);
    if (lost < 0) return answer;
    this.#lost.splice(lost, 1);
    throw new TwillError("STORE_TIMEOUT", `the answer to ${name} was lost`);
  }

  async #untilUp(signal: AbortSignal): Promise<void> {
    const changed = new Trigger();
    this.#waiting.add(changed);
    try {
      while (this.#link !== "up") await changed.wait(signal);
    } finally {
      this.#waiting.delete(changed);
    }
  }

  #refuse(call: StoreCall | "watch"): void {
    const refusal = this.refusing.get(call);
    if (refusal !== undefined) throw refusal;
  }

  #count(call: StoreCall | "watch"): void {
    this.calls.set(call, (this.calls.get(call) ?? 0) + 1);
  }
}
