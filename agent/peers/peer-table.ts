/**
 * The leases this agent holds, at one (instance, revision). Snapshots and deltas go in,
 * changes come out; what does not follow exactly is answered by "out of step", never guessed.
 *
 * State       | means
 * ------------|------------------------------------------------------------------------
 * empty       | holds nothing: Hello names no instance, a snapshot must follow
 * cached      | loaded from disk, not confirmed: plans may only add (in-sync gate)
 * in sync     | equal to the controller's table at `revision`, since a whole snapshot or a
 *             | resume that the controller accepted; stays so over reconnects
 */

import type { Lease, Revision } from "../../common/lease/lease.ts";
import {
  addLease,
  type Digest,
  digestOf,
  EMPTY_DIGEST,
  formatDigest,
  removeLease,
} from "../../common/lease/lease-digest.ts";
import { type PackedLease, packLease, unpackLease } from "./lease-pack.ts";

/** What the stream says about the table; the messages of proto/twill/v1/fabric.proto, decoded. */
export type TableMessage =
  | { readonly kind: "snapshot-begin"; readonly revision: Revision; readonly leases: number }
  | { readonly kind: "snapshot-part"; readonly upserts: readonly Lease[] }
  | { readonly kind: "snapshot-end"; readonly revision: Revision; readonly digest: string }
  | {
      readonly kind: "delta";
      readonly fromRevision: Revision;
      readonly toRevision: Revision;
      readonly upserts: readonly Lease[];
      readonly removes: readonly string[];
    }
  | { readonly kind: "bookmark"; readonly revision: Revision; readonly digest: string };

/** Where the table stands; what Hello and Ack say. `instance` is empty when it holds nothing. */
export interface TablePosition {
  readonly instance: string;
  readonly revision: Revision;
  /** 16 hex digits. */
  readonly digest: string;
}

/** Leases that differ from before: each upsert is new or really changed. */
export interface TableChange {
  readonly upserts: readonly Lease[];
  readonly removes: readonly string[];
  readonly position: TablePosition;
  /** True for the change (perhaps empty) that brought the table in sync. */
  readonly cameInSync: boolean;
}

export type TableOutcome =
  /** Nothing to plan: part of a snapshot, or a bookmark that agrees. */
  | { readonly kind: "held" }
  | { readonly kind: "changed"; readonly change: TableChange }
  /** End the stream and say Hello again with the position as it is now. */
  | { readonly kind: "out-of-step"; readonly reason: string };

const HELD: TableOutcome = { kind: "held" };

interface Snapshot {
  readonly revision: Revision;
  readonly announced: number;
  readonly leases: Map<string, PackedLease>;
}

export class PeerTable {
  readonly #leases = new Map<string, PackedLease>();
  #instance = "";
  #revision: Revision = 0;
  #digest: Digest = EMPTY_DIGEST;
  #inSync = false;
  /** Instance of the present stream; empty before Welcome. */
  #streamInstance = "";
  #snapshot: Snapshot | undefined;

  get position(): TablePosition {
    const [instance, revision, digest] = [this.#instance, this.#revision, this.#digest];
    return { instance, revision, digest: formatDigest(digest) };
  }

  /** True once the table was equal to a controller's since this process started. */
  get isInSync(): boolean {
    return this.#inSync;
  }

  get size(): number {
    return this.#leases.size;
  }

  get(key: string): Lease | undefined {
    const packed = this.#leases.get(key);
    return packed === undefined ? undefined : unpackLease(key, packed);
  }

  /** Unpacked one by one while iterating. */
  *leases(): Generator<Lease> {
    for (const [key, packed] of this.#leases) yield unpackLease(key, packed);
  }

  /** Fills an empty table from the cache on disk; it is not in sync until a controller says so. */
  restore(instance: string, revision: Revision, leases: Iterable<Lease>): void {
    if (this.#leases.size > 0 || this.#inSync) return;
    for (const lease of leases) this.#leases.set(lease.key, packLease(lease));
    this.#instance = instance;
    this.#revision = revision;
    this.#digest = digestOf(this.leases());
  }

  /** A new stream began; a snapshot that was under way is void. */
  welcome(instance: string): void {
    this.#streamInstance = instance;
    this.#snapshot = undefined;
  }

  apply(message: TableMessage): TableOutcome {
    switch (message.kind) {
      case "snapshot-begin":
        this.#snapshot = {
          revision: message.revision,
          announced: message.leases,
          leases: new Map(),
        };
        return HELD;
      case "snapshot-part":
        return this.#addPart(message.upserts);
      case "snapshot-end":
        return this.#endSnapshot(message);
      case "delta":
        return this.#applyDelta(message);
      case "bookmark":
        return this.#check(message);
    }
  }

  #addPart(upserts: readonly Lease[]): TableOutcome {
    if (this.#snapshot === undefined) return outOfStep("a snapshot part without its begin");
    for (const lease of upserts) this.#snapshot.leases.set(lease.key, packLease(lease));
    return HELD;
  }

  /** The snapshot replaces the table as a diff, so unchanged peers are never touched. */
  #endSnapshot(end: Extract<TableMessage, { kind: "snapshot-end" }>): TableOutcome {
    const snapshot = this.#snapshot;
    this.#snapshot = undefined;
    if (snapshot === undefined) return outOfStep("a snapshot end without its begin");
    if (snapshot.revision !== end.revision) {
      return outOfStep(`a snapshot began at ${snapshot.revision} and ended at ${end.revision}`);
    }
    if (snapshot.leases.size !== snapshot.announced) {
      const { announced, leases } = snapshot;
      return outOfStep(`a snapshot announced ${announced} leases and brought ${leases.size}`);
    }
    const digest = formatDigest(digestOf(unpackAll(snapshot.leases)));
    if (digest !== end.digest) {
      return outOfStep(`a snapshot's digest is ${digest} where ${end.digest} was announced`);
    }
    const removes = [...this.#leases.keys()].filter((key) => !snapshot.leases.has(key));
    this.#instance = this.#streamInstance;
    return this.#advance(end.revision, snapshot.leases, removes);
  }

  #applyDelta(delta: Extract<TableMessage, { kind: "delta" }>): TableOutcome {
    if (this.#snapshot !== undefined) return outOfStep("a delta inside a snapshot");
    if (this.#instance === "" || this.#instance !== this.#streamInstance) {
      return outOfStep("a delta for a table that is not held");
    }
    if (delta.fromRevision !== this.#revision) {
      return outOfStep(`a delta from ${delta.fromRevision} while at ${this.#revision}`);
    }
    if (delta.toRevision < delta.fromRevision) {
      return outOfStep(`a delta back from ${delta.fromRevision} to ${delta.toRevision}`);
    }
    // A key that is named twice counts once, with its last value; an upsert beats a remove.
    const upserts = new Map(delta.upserts.map((lease) => [lease.key, packLease(lease)]));
    const removes = delta.removes.filter((key) => !upserts.has(key));
    return this.#advance(delta.toRevision, upserts, removes);
  }

  #check(bookmark: Extract<TableMessage, { kind: "bookmark" }>): TableOutcome {
    // Nothing can be said of a table that is just being replaced.
    if (this.#snapshot !== undefined) return HELD;
    if (this.#instance === "" || this.#instance !== this.#streamInstance) {
      return outOfStep("a bookmark for a table that is not held");
    }
    if (bookmark.revision < this.#revision) {
      return outOfStep(`a bookmark at ${bookmark.revision} while at ${this.#revision}`);
    }
    const { digest } = this.position;
    if (bookmark.digest !== digest) {
      this.#distrust();
      return outOfStep(
        `the table's digest is ${digest}, the controller's ${bookmark.digest}, at revision ${bookmark.revision}`,
      );
    }
    this.#revision = bookmark.revision;
    return this.#inSync ? HELD : this.#advance(bookmark.revision, new Map(), []);
  }

  /** Keeps the leases (the data plane stands on them) but asks for a whole snapshot next. */
  #distrust(): void {
    this.#instance = "";
    this.#revision = 0;
  }

  #advance(
    revision: Revision,
    upserts: ReadonlyMap<string, PackedLease>,
    removes: readonly string[],
  ): TableOutcome {
    const removed = removes.filter((key) => this.#remove(key));
    const changed: Lease[] = [];
    for (const [key, packed] of upserts) {
      if (this.#leases.get(key) !== packed) changed.push(this.#set(key, packed));
    }
    this.#revision = revision;
    const cameInSync = !this.#inSync;
    this.#inSync = true;
    const change = { upserts: changed, removes: removed, position: this.position, cameInSync };
    return { kind: "changed", change };
  }

  #set(key: string, packed: PackedLease): Lease {
    const lease = unpackLease(key, packed);
    this.#remove(key);
    this.#digest = addLease(this.#digest, lease);
    this.#leases.set(key, packed);
    return lease;
  }

  #remove(key: string): boolean {
    const before = this.#leases.get(key);
    if (before === undefined) return false;
    this.#digest = removeLease(this.#digest, unpackLease(key, before));
    return this.#leases.delete(key);
  }
}

function outOfStep(reason: string): TableOutcome {
  return { kind: "out-of-step", reason };
}

function* unpackAll(leases: ReadonlyMap<string, PackedLease>): Generator<Lease> {
  for (const [key, packed] of leases) yield unpackLease(key, packed);
}
