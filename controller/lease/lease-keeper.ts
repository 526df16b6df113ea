/**
 * Keeps the etcd leases of the nodes connected to this replica alive: one scheduler and one
 * stream for all, each lease every third of its TTL, spread by chance so that a fleet that
 * came at once does not renew at once. A node that is not connected anywhere is not kept: its
 * lease ends after the TTL, as with flannel.
 */
import type { Clock } from "../../common/async/clock.ts";
import { kickOrTimeout } from "../../common/async/kick-or-timeout.ts";
import { TaskGroup } from "../../common/async/task-group.ts";
import { Trigger } from "../../common/async/trigger.ts";
import { TwillError } from "../../common/errors.ts";
import { type EtcdLeaseId, NO_ETCD_LEASE } from "../../common/lease/lease.ts";
import { errorFields, type Logger } from "../../common/log.ts";
import type { Store } from "../store/store.ts";
import { MinHeap } from "./min-heap.ts";

export interface LeaseKeeperParts {
  readonly store: Pick<Store, "keepAlive">;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly log: Logger;
  /** The etcd lease of what the node holds now; undefined: nothing. */
  readonly etcdLeaseOf: (node: string) => EtcdLeaseId | undefined;
  /** The node's etcd lease turned out to be gone. */
  readonly onLost: (node: string) => void;
}

/** How much of its TTL is left when nobody knows: a lease that was never kept is kept within this. */
const FIRST_SPREAD_MS = 1000;
/** Share of the TTL between two keep-alives, at most; the least is 80 % of it. */
const RENEW_SHARE = 1 / 3;
const RETRY_SHARE = 1 / 10;
const RETRY_MAX_MS = 30_000;
/** While the TTL is unknown. */
const RETRY_UNKNOWN_MS = 2000;
/** 5,600 a second go through one stream (etcd3 notes 4). */
const MAX_IN_FLIGHT = 256;

/** Voided entries the schedule may hold before it is made anew. */
const MAX_VOID = 1024;

/** An etcd lease and when to keep it next. A newer one of the same node voids it. */
interface Kept {
  readonly node: string;
  readonly etcdLease: EtcdLeaseId;
  /** undefined: not known yet. */
  readonly ttlSeconds: number | undefined;
  readonly dueMs: number;
}

export class LeaseKeeper {
  readonly #parts: LeaseKeeperParts;
  /** Connected nodes; undefined: one that holds nothing with a TTL. */
  readonly #nodes = new Map<string, Kept | undefined>();
  /** TTLs of etcd leases so new that the table does not show them yet; by node. */
  readonly #granted = new Map<string, number>();
  #due = new MinHeap<Kept>(({ dueMs }) => dueMs);
  readonly #wake = new Trigger();
  #inFlight = 0;

  constructor(parts: LeaseKeeperParts) {
    this.#parts = parts;
  }

  /** Nodes whose lease is being kept. */
  get size(): number {
    return [...this.#nodes.values()].filter((kept) => kept !== undefined).length;
  }

  /** Entries of the schedule, void ones included. */
  get scheduled(): number {
    return this.#due.size;
  }

  /** The node is connected here from now on. */
  add(node: string): void {
    this.#nodes.set(node, undefined);
    this.follow(node);
  }

  remove(node: string): void {
    this.#nodes.delete(node);
    this.#granted.delete(node);
  }

  /** Looks again at what the node holds; to be called whenever that may have changed. */
  follow(node: string): void {
    if (!this.#nodes.has(node)) return;
    const held = this.#parts.etcdLeaseOf(node);
    const etcdLease = held === NO_ETCD_LEASE ? undefined : held;
    if (this.#nodes.get(node)?.etcdLease === etcdLease) return;
    const granted = this.#granted.get(node);
    this.#granted.delete(node);
    if (etcdLease === undefined) this.#nodes.set(node, undefined);
    else if (granted !== undefined) this.#renewLater({ node, etcdLease, ttlSeconds: granted });
    else
      this.#at({ node, etcdLease, ttlSeconds: undefined }, FIRST_SPREAD_MS * this.#parts.random());
  }

  /** Somebody else has just kept the node's etcd lease alive, and this was the answer. */
  kept(node: string, ttlSeconds: number): void {
    this.follow(node);
    const kept = this.#nodes.get(node);
    if (ttlSeconds <= 0 || !this.#nodes.has(node)) return;
    // The answer to a registration is here before the watch shows what was written.
    if (kept === undefined) this.#granted.set(node, ttlSeconds);
    else this.#renewLater({ ...kept, ttlSeconds });
  }

  /** Runs until the signal. */
  async run(signal: AbortSignal): Promise<void> {
    const group = new TaskGroup(signal);
    group.spawn((inner) => this.#loop(group, inner));
    await group.join();
  }

  async #loop(group: TaskGroup, signal: AbortSignal): Promise<void> {
    const { clock } = this.#parts;
    for (;;) {
      const waitMs = this.#startDue(group);
      await kickOrTimeout(this.#wake, waitMs, clock, signal);
    }
  }

  /** Starts what is due, within the limit; answers how long until there is more to do. */
  #startDue(group: TaskGroup): number {
    const now = this.#parts.clock.monotonicMs();
    for (;;) {
      const next = this.#due.peek();
      if (next === undefined) return Number.POSITIVE_INFINITY;
      const isVoid = this.#nodes.get(next.node) !== next;
      if (!isVoid && next.dueMs > now) return next.dueMs - now;
      // The end of one of those under way will wake the loop.
      if (!isVoid && this.#inFlight >= MAX_IN_FLIGHT) return Number.POSITIVE_INFINITY;
      this.#due.pop();
      if (!isVoid) group.spawn((signal) => this.#keep(next, signal));
    }
  }

  async #keep(kept: Kept, signal: AbortSignal): Promise<void> {
    const { node, etcdLease } = kept;
    this.#inFlight += 1;
    try {
      const ttlSeconds = await this.#parts.store.keepAlive(etcdLease, signal);
      // The answer may be about a lease that is not the node's any more.
      if (this.#nodes.get(node) !== kept) return;
      if (ttlSeconds === undefined) this.#lost(kept);
      else this.#renewLater({ ...kept, ttlSeconds });
    } catch (error) {
      signal.throwIfAborted();
      this.#failed(kept, TwillError.from(error));
    } finally {
      this.#inFlight -= 1;
      this.#wake.kick();
    }
  }

  #failed(kept: Kept, fault: TwillError): void {
    if (fault.code === "BUG") throw fault;
    const { node } = kept;
    const message = `the etcd lease of node ${node} could not be kept alive yet`;
    const fields = { key: fault.code, node, ...errorFields(fault) };
    this.#parts.log.event("lease.unkept", message, fields);
    if (this.#nodes.get(node) !== kept) return;
    this.#at(kept, retryMs(kept) * (0.5 + 0.5 * this.#parts.random()));
  }

  #lost({ node }: Kept): void {
    this.#nodes.set(node, undefined);
    this.#parts.onLost(node);
  }

  #renewLater(kept: Omit<Kept, "dueMs"> & { readonly ttlSeconds: number }): void {
    const atMostMs = kept.ttlSeconds * 1000 * RENEW_SHARE;
    this.#at(kept, atMostMs * (0.8 + 0.2 * this.#parts.random()));
  }

  #at(kept: Omit<Kept, "dueMs">, waitMs: number): void {
    const next = { ...kept, dueMs: this.#parts.clock.monotonicMs() + waitMs };
    this.#nodes.set(kept.node, next);
    this.#due.push(next);
    if (this.#due.size > 2 * this.#nodes.size + MAX_VOID) this.#forgetVoid();
    this.#wake.kick();
  }

  #forgetVoid(): void {
    this.#due = new MinHeap<Kept>(({ dueMs }) => dueMs);
    for (const kept of this.#nodes.values()) {
      if (kept !== undefined) this.#due.push(kept);
    }
  }
}

function retryMs({ ttlSeconds }: Kept): number {
  if (ttlSeconds === undefined) return RETRY_UNKNOWN_MS;
  return Math.min(ttlSeconds * 1000 * RETRY_SHARE, RETRY_MAX_MS);
}
