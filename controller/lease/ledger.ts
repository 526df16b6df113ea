/**
 * The lease table as the leader must see it to decide: the writes that are on their way, or
 * acknowledged but not yet back through the watch, count as done. So a thousand registrations
 * can be decided one after the other without waiting for each other's transactions, and none
 * takes what another has just been promised.
 */
import type { NetworkConfig } from "../../common/config/network-config.ts";
import {
  type Lease,
  NO_ETCD_LEASE,
  type Revision,
  type Subnets,
  subnetsOverlap,
} from "../../common/lease/lease.ts";
import type { Ip } from "../../common/net/ip.ts";
import { AddressIndex } from "../view/address-index.ts";
import type { LeaseTable } from "../view/lease-table.ts";
import type { TableChange } from "../view/table-change.ts";
import type { Taken } from "./allocate.ts";
import type { HeldLease, LeaseBook, StoredNodeRecord } from "./lease-book.ts";
import { MinHeap } from "./min-heap.ts";
import type { NodeRecord } from "./node-record.ts";
import { Occupancy } from "./occupancy.ts";

/** A write of one node's lease, from being decided to being seen in the table. */
export interface PendingWrite {
  readonly record: NodeRecord;
  /** The lease it makes or changes; undefined: none, it only gives back. */
  readonly put: Omit<HeldLease, "modRevision"> | undefined;
  /** Lease keys it deletes. */
  readonly removes: readonly string[];
}

interface Pending extends PendingWrite {
  /** 0 until it is acknowledged. */
  readonly revision: Revision;
}

export class Ledger implements LeaseBook {
  readonly #table: LeaseTable;
  readonly #pending = new Map<string, Pending>();
  /** The nodes of pending writes by what they put, by address and by key; a scan would be O(n^2). */
  readonly #puts = new AddressIndex();
  readonly #putBy = new Map<string, string>();
  /** Lease keys that pending writes delete. */
  readonly #removing = new Set<string>();
  /** Acknowledged writes, the oldest first, until the table has them. */
  readonly #unseen = new MinHeap<{ readonly node: string; readonly revision: Revision }>(
    ({ revision }) => revision,
  );
  /** What each taken key of the table counts for in `taken`. */
  readonly #counted = new Map<string, Subnets>();
  #taken: Taken = { v4: undefined, v6: undefined };

  constructor(table: LeaseTable, config: NetworkConfig | undefined) {
    this.#table = table;
    this.setConfig(config);
  }

  get taken(): Taken {
    return this.#taken;
  }

  /** Counts everything again, for another range. Costs O(leases). */
  setConfig(config: NetworkConfig | undefined): void {
    this.#taken = {
      v4: config?.v4 === undefined ? undefined : new Occupancy(config.v4),
      v6: config?.v6 === undefined ? undefined : new Occupancy(config.v6),
    };
    this.#counted.clear();
    for (const key of this.#table.takenKeys()) this.#recount(key);
    for (const { put } of this.#pending.values()) this.#add(put?.lease.subnets);
  }

  /** Follows the table; to be called after every change of it. */
  observe(change: TableChange): void {
    for (const key of change.touched) this.#recount(key);
    for (let next = this.#unseen.peek(); next !== undefined; next = this.#unseen.peek()) {
      if (next.revision > this.#table.revision) return;
      this.#unseen.pop();
      // The node may have another write under way by now.
      if (this.#pending.get(next.node)?.revision === next.revision) this.drop(next.node);
    }
  }

  /** The write is decided; its subnets are taken from now on. One per node at a time. */
  hold(node: string, write: PendingWrite): void {
    this.drop(node);
    this.#pending.set(node, { ...write, revision: 0 });
    for (const key of write.removes) this.#removing.add(key);
    const lease = write.put?.lease;
    if (lease === undefined) return;
    this.#puts.add(lease);
    this.#putBy.set(lease.key, node);
    this.#add(lease.subnets);
  }

  /** The write is in the store; it is held until the table has seen its revision. */
  confirm(node: string, revision: Revision): void {
    const pending = this.#pending.get(node);
    if (pending === undefined) return;
    if (revision <= this.#table.revision) {
      this.drop(node);
      return;
    }
    this.#pending.set(node, { ...pending, revision });
    this.#unseen.push({ node, revision });
  }

  /** The write did not happen, or the table shows it by now. */
  drop(node: string): void {
    const pending = this.#pending.get(node);
    if (pending === undefined) return;
    this.#pending.delete(node);
    for (const key of pending.removes) this.#removing.delete(key);
    const lease = pending.put?.lease;
    if (lease === undefined) return;
    this.#puts.remove(lease);
    this.#putBy.delete(lease.key);
    this.#remove(lease.subnets);
  }

  held(node: string): HeldLease | undefined {
    const pending = this.#pending.get(node);
    return pending === undefined ? this.#table.heldBy(node) : putOf(pending);
  }

  record(node: string): StoredNodeRecord | undefined {
    const pending = this.#pending.get(node);
    if (pending === undefined) return this.#table.record(node);
    return { record: pending.record, modRevision: pending.revision };
  }

  withPublicIp(ip: Ip): readonly HeldLease[] {
    const stored = this.#table.withPublicIp(ip).filter(({ lease }) => !this.#isPending(lease.key));
    const puts = this.#puts.keys(ip).map((key) => this.held(this.#putBy.get(key) ?? ""));
    return [...stored, ...puts.filter((put) => put !== undefined)];
  }

  *ipv4OnlyFlannel(): Generator<HeldLease> {
    for (const [key, row] of this.#table.rows) {
      const { lease, etcdLease } = row;
      if (lease.node !== "" || etcdLease === NO_ETCD_LEASE || this.#isPending(key)) continue;
      if (lease.subnets.v6 === undefined) yield row;
    }
  }

  overlapping(subnets: Subnets): readonly { key: string; lease: Lease | undefined }[] {
    const stored = [...this.#table.takenKeys()]
      .filter((key) => !this.#isPending(key))
      .filter((key) => subnetsOverlap(this.#table.taken(key) ?? NOWHERE, subnets))
      .map((key) => ({ key, lease: this.#table.rows.get(key)?.lease }));
    const puts = [...this.#pending.values()].flatMap(({ put }) => put?.lease ?? []);
    const held = puts.filter((lease) => subnetsOverlap(lease.subnets, subnets));
    return [...stored, ...held.map((lease) => ({ key: lease.key, lease }))];
  }

  /** True when a pending write says something else of this key than the table does. */
  #isPending(key: string): boolean {
    return this.#putBy.has(key) || this.#removing.has(key);
  }

  #recount(key: string): void {
    const before = this.#counted.get(key);
    const after = this.#table.taken(key);
    this.#add(after);
    this.#remove(before);
    if (after === undefined) this.#counted.delete(key);
    else this.#counted.set(key, after);
  }

  #add(subnets: Subnets | undefined): void {
    if (subnets?.v4 !== undefined) this.#taken.v4?.add(subnets.v4);
    if (subnets?.v6 !== undefined) this.#taken.v6?.add(subnets.v6);
  }

  #remove(subnets: Subnets | undefined): void {
    if (subnets?.v4 !== undefined) this.#taken.v4?.remove(subnets.v4);
    if (subnets?.v6 !== undefined) this.#taken.v6?.remove(subnets.v6);
  }
}

function putOf({ put, revision }: Pending): HeldLease | undefined {
  return put === undefined ? undefined : { ...put, modRevision: revision };
}

const NOWHERE: Subnets = { v4: undefined, v6: undefined };
