/**
 * The controller's picture of the prefix: leases, node records, config and candidates,
 * folded from listings and change sets. It is a function of the keys alone, never of the way
 * that led there; revisions guard every step, so what comes late or twice does nothing.
 *
 * A lease belongs to a node when the node's record names it, was written at or after the
 * lease key's creation, and advertises the same public address. So a record left from an
 * expired lease never claims what a stranger got later, and a real flannel that seized the key
 * (contract 1.6) is seen as the stranger it is.
 */

import { NO_ETCD_LEASE, type Revision, type Subnets } from "../../common/lease/lease.ts";
import {
  addLease,
  type Digest,
  EMPTY_DIGEST,
  removeLease,
} from "../../common/lease/lease-digest.ts";
import type { Ip } from "../../common/net/ip.ts";
import type { StoredNodeRecord } from "../lease/lease-book.ts";
import type { ChangeSet, Entry, Listing } from "../store/store.ts";
import { AddressIndex } from "./address-index.ts";
import { type Candidate, Candidates } from "./candidates.ts";
import {
  CONFIG_KEY,
  isWatchedKey,
  JOURNAL,
  NODES,
  ROLLOUT_KEY,
  SUBNETS,
  subnetKey,
} from "./keys.ts";
import { encodeLeaseRecord } from "./lease-record.ts";
import { NodeRecords } from "./node-records.ts";
import { isPutAgain, sameEntry } from "./same-entry.ts";
import { parseSubnetEntry, type SubnetEntry } from "./subnet-entry.ts";
import { type LeaseRow, type MalformedKey, sameBytes, type TableChange } from "./table-change.ts";

interface Step {
  /** Lease keys whose row must be made anew. */
  readonly unsettled: Set<string>;
  readonly touched: Set<string>;
  readonly nodes: Set<string>;
  readonly malformed: MalformedKey[];
  configChanged: boolean;
}

/** What settling one lease key after the other adds up to. */
interface Settled {
  readonly upserts: LeaseRow[];
  readonly removes: string[];
  readonly ended: LeaseRow[];
  readonly nodes: Set<string>;
}

export class LeaseTable {
  /** Every key that matters, as it stands. */
  readonly #entries = new Map<string, Entry>();
  /** Keys below subnets/, parsed once per put. */
  readonly #subnets = new Map<string, SubnetEntry>();
  readonly #rows = new Map<string, LeaseRow>();
  readonly #byAddress = new AddressIndex();
  readonly #records = new NodeRecords();
  readonly #heldBy = new Map<string, string>();
  readonly #malformed = new Map<string, MalformedKey>();
  readonly #candidates = new Candidates();
  /** Sum over the entries. */
  #modRevisions = 0;
  #revision: Revision = 0;
  #digest: Digest = EMPTY_DIGEST;

  /** Everything up to here is folded in. */
  get revision(): Revision {
    return this.#revision;
  }

  get digest(): Digest {
    return this.#digest;
  }

  /** Leases by key. */
  get rows(): ReadonlyMap<string, LeaseRow> {
    return this.#rows;
  }

  get malformed(): ReadonlyMap<string, MalformedKey> {
    return this.#malformed;
  }

  get config(): Entry | undefined {
    return this.#entries.get(CONFIG_KEY);
  }

  /**
   * Equal for equal keys at equal mod revisions; cheap, and good for telling when a replay has
   * arrived, not for trusting.
   */
  get fingerprint(): string {
    return `${this.#entries.size} ${this.#modRevisions}`;
  }

  static fingerprintOf(entries: readonly Entry[]): string {
    const watched = entries.filter(({ key }) => isWatchedKey(key));
    const sum = watched.reduce((total, { modRevision }) => total + modRevision, 0);
    return `${watched.length} ${sum}`;
  }

  /** A key of the table as etcd has it. */
  entry(key: string): Entry | undefined {
    return this.#entries.get(key);
  }

  entries(): Iterable<Entry> {
    return this.#entries.values();
  }

  /** Who campaigns, the leader first. */
  get candidates(): readonly Candidate[] {
    return this.#candidates.inOrder();
  }

  heldBy(node: string): LeaseRow | undefined {
    return this.#rows.get(this.#heldBy.get(node) ?? "");
  }

  record(node: string): StoredNodeRecord | undefined {
    return this.#records.get(node);
  }

  withPublicIp(ip: Ip): readonly LeaseRow[] {
    return this.#byAddress.keys(ip).flatMap((key) => this.#rows.get(key) ?? []);
  }

  /** The subnets that a key below subnets/ takes, lease or not. */
  taken(leaseKey: string): Subnets | undefined {
    return this.#subnets.get(leaseKey)?.subnets;
  }

  /** Every taken key below subnets/. */
  takenKeys(): Iterable<string> {
    return this.#subnets.keys();
  }

  /** Folds one change set; undefined when it is not newer than the table. */
  apply(changes: ChangeSet): TableChange | undefined {
    if (changes.revision <= this.#revision) return undefined;
    return this.#fold(changes);
  }

  /**
   * Makes the table equal to a listing of the whole prefix, older or newer; the answer is the
   * difference, attributes included (flannel compares subnets only, contract 1.7).
   */
  replace(listing: Listing): TableChange {
    const listed = new Set(listing.entries.map(({ key }) => key));
    const deletes = [...this.#entries.keys()].filter((key) => !listed.has(key));
    const puts = listing.entries.filter((entry) => {
      if (!isWatchedKey(entry.key)) return false;
      const known = this.#entries.get(entry.key);
      return known === undefined || !sameEntry(known, entry);
    });
    return this.#fold({ revision: listing.revision, puts, deletes });
  }

  #fold({ revision, puts, deletes }: ChangeSet): TableChange {
    const leader = this.candidates.at(0);
    const step: Step = {
      unsettled: new Set(),
      touched: new Set(),
      nodes: new Set(),
      malformed: [],
      configChanged: false,
    };
    for (const key of deletes) this.#store(key, undefined, step);
    for (const entry of puts) this.#store(entry.key, entry, step);
    const upserts: LeaseRow[] = [];
    const removes: string[] = [];
    const ended: LeaseRow[] = [];
    const out = { upserts, removes, ended, nodes: step.nodes };
    for (const key of step.unsettled) this.#settle(key, out);
    this.#revision = revision;
    return {
      revision,
      upserts,
      removes,
      ended,
      touched: [...step.touched],
      nodes: [...step.nodes],
      malformed: step.malformed,
      configChanged: step.configChanged,
      leaderChanged: leader?.value !== this.candidates.at(0)?.value,
      journalEntries: puts.filter(({ key }) => key.startsWith(JOURNAL)).length,
    };
  }

  #store(key: string, entry: Entry | undefined, step: Step): void {
    if (!isWatchedKey(key)) return;
    if (key === CONFIG_KEY || key === ROLLOUT_KEY) step.configChanged = true;
    else if (key.startsWith(SUBNETS)) this.#storeSubnet(key, entry, step);
    else if (key.startsWith(NODES)) this.#storeRecord(key, entry, step);
    else this.#candidates.put(key, entry);
    this.#modRevisions += (entry?.modRevision ?? 0) - (this.#entries.get(key)?.modRevision ?? 0);
    if (entry === undefined) this.#entries.delete(key);
    else this.#entries.set(key, entry);
  }

  #storeSubnet(key: string, entry: Entry | undefined, step: Step): void {
    const leaseKey = key.slice(SUBNETS.length);
    this.#malformed.delete(key);
    this.#subnets.delete(leaseKey);
    step.unsettled.add(leaseKey);
    // A key that was put again as it was occupies nothing else.
    if (!isPutAgain(this.#entries.get(key), entry)) step.touched.add(leaseKey);
    if (entry === undefined) return;
    const parsed = parseSubnetEntry(leaseKey, entry);
    if (parsed.subnets !== undefined) this.#subnets.set(leaseKey, parsed);
    if (parsed.kind === "malformed") {
      this.#addMalformed({ key, reason: parsed.reason, blocks: parsed.subnets }, step);
    }
  }

  #storeRecord(key: string, entry: Entry | undefined, step: Step): void {
    const node = key.slice(NODES.length);
    this.#malformed.delete(key);
    step.nodes.add(node);
    const { leaseKeys, malformed } = this.#records.put(node, entry);
    for (const leaseKey of leaseKeys) {
      step.unsettled.add(leaseKey);
      step.touched.add(leaseKey);
    }
    if (malformed !== undefined) {
      this.#addMalformed({ key, reason: malformed, blocks: undefined }, step);
    }
  }

  #addMalformed(malformed: MalformedKey, step: Step): void {
    this.#malformed.set(malformed.key, malformed);
    step.malformed.push(malformed);
  }

  /** Brings the row of one lease key up to date with its entry and its holder's record. */
  #settle(key: string, out: Settled): void {
    const before = this.#rows.get(key);
    const after = this.#rowOf(key, before);
    if (before !== undefined) this.#forget(before);
    if (after !== undefined) this.#remember(after);
    for (const node of [before?.lease.node ?? "", after?.lease.node ?? ""]) {
      if (node !== "") out.nodes.add(node);
    }
    if (after === undefined && before !== undefined) {
      out.removes.push(key);
      if (this.#hasEnded(before)) out.ended.push(before);
    }
    if (after !== undefined && before?.bytes !== after.bytes) out.upserts.push(after);
  }

  /** True unless the holder gave it back or moved (its record says so), or the key is still there. */
  #hasEnded({ lease, etcdLease }: LeaseRow): boolean {
    if (etcdLease === NO_ETCD_LEASE || this.#entries.has(subnetKey(lease.key))) return false;
    if (lease.node === "") return true;
    // Gone with its lease: an operator has removed the node.
    const record = this.#records.get(lease.node)?.record;
    return record !== undefined && record.released === "" && record.subnet === lease.key;
  }

  /** Keeps the bytes of `before` when agents would see no difference. */
  #rowOf(key: string, before: LeaseRow | undefined): LeaseRow | undefined {
    const parsed = this.#subnets.get(key);
    const entry = this.#entries.get(subnetKey(key));
    if (parsed?.kind !== "lease" || entry === undefined) return undefined;
    const { subnets, attrs } = parsed;
    const lease = { key, subnets, attrs, node: this.#records.holderOf(key, attrs, entry) };
    const bytes = encodeLeaseRecord(lease);
    const isSame = before !== undefined && sameBytes(before.bytes, bytes);
    const { etcdLease, createRevision, modRevision } = entry;
    return {
      lease,
      etcdLease,
      createRevision,
      modRevision,
      bytes: isSame ? before.bytes : bytes,
    };
  }

  #remember(row: LeaseRow): void {
    const { lease } = row;
    this.#rows.set(lease.key, row);
    this.#digest = addLease(this.#digest, lease);
    this.#byAddress.add(lease);
    if (lease.node !== "") this.#heldBy.set(lease.node, lease.key);
  }

  #forget({ lease }: LeaseRow): void {
    this.#rows.delete(lease.key);
    this.#digest = removeLease(this.#digest, lease);
    this.#byAddress.remove(lease);
    if (this.#heldBy.get(lease.node) === lease.key) this.#heldBy.delete(lease.node);
  }
}
