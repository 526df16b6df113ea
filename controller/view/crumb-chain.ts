/**
 * The recent history of the lease table as one shared chain: a crumb per revision that
 * changed what agents see, with the digest of the table after it. Every subscriber only holds
 * its place, a number; so a slow one costs no memory, and one that falls off the old end gets a
 * snapshot. Bounded by count and by bytes.
 */

import type { Revision } from "../../common/lease/lease.ts";
import { type Digest, formatDigest } from "../../common/lease/lease-digest.ts";
import type { LeaseRow, TableChange } from "./table-change.ts";

export interface Crumb {
  /** Counts up by one along the chain; never reused, not even by a reset. */
  readonly sequence: number;
  readonly revision: Revision;
  /** Of the table at this revision. */
  readonly digest: Digest;
  readonly upserts: readonly LeaseRow[];
  readonly removes: readonly string[];
  /** Size of this crumb's change. */
  readonly bytes: number;
}

export interface ChainLimits {
  readonly maxCrumbs: number;
  readonly maxBytes: number;
}

/** 20,000 crumbs of one lease are 2 MB: a day of 200 changes a second for 100 s, a week of calm. */
export const DEFAULT_CHAIN_LIMITS: ChainLimits = { maxCrumbs: 20_000, maxBytes: 16 * 1024 * 1024 };

export class CrumbChain {
  readonly #limits: ChainLimits;
  #crumbs: Crumb[];
  #bytes = 0;
  #newestRevision: Revision;

  /** Starts at a table as it is: its digest is known, how it came about is not. */
  constructor(origin: { revision: Revision; digest: Digest }, limits = DEFAULT_CHAIN_LIMITS) {
    this.#limits = limits;
    this.#crumbs = [originCrumb(0, origin)];
    this.#newestRevision = origin.revision;
  }

  /** The newest crumb: where a subscriber that misses nothing stands. */
  get head(): Crumb {
    return this.#at(this.#crumbs.length - 1);
  }

  /** The oldest place a subscriber can go on from. */
  get tail(): Crumb {
    return this.#at(0);
  }

  get length(): number {
    return this.#crumbs.length;
  }

  /** The table is known to be as the head says up to here. */
  get newestRevision(): Revision {
    return this.#newestRevision;
  }

  /** Takes a table's change; `digest` is the table's after it. Revisions never go back: see `reset`. */
  append(change: TableChange, digest: Digest): void {
    this.reach(change.revision);
    const { revision, upserts, removes } = change;
    if (upserts.length === 0 && removes.length === 0) return;
    const bytes = changeBytes(change);
    const sequence = this.head.sequence + 1;
    this.#crumbs.push({ sequence, revision, digest, upserts, removes, bytes });
    this.#bytes += bytes;
    this.#trim();
  }

  /** The table stays as the head says up to this revision. */
  reach(revision: Revision): void {
    this.#newestRevision = Math.max(this.#newestRevision, revision);
  }

  /** Forgets all history: the store's went back (a restored backup). Every place becomes invalid. */
  reset(origin: { revision: Revision; digest: Digest }): void {
    this.#crumbs = [originCrumb(this.head.sequence + 1, origin)];
    this.#bytes = 0;
    this.#newestRevision = origin.revision;
  }

  /** The crumb at a place, undefined when the chain no longer reaches back to it. */
  at(sequence: number): Crumb | undefined {
    return this.#crumbs[sequence - this.tail.sequence];
  }

  /** The crumb that the table was at in this revision; undefined: too old, or not known yet. */
  atRevision(revision: Revision): Crumb | undefined {
    if (revision < this.tail.revision || revision > this.#newestRevision) return undefined;
    let low = 0;
    let high = this.#crumbs.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#at(middle).revision <= revision) low = middle;
      else high = middle - 1;
    }
    return this.#at(low);
  }

  /** Whether the table had this digest in this revision; a held withdrawal may share its revision. */
  knew(revision: Revision, digest: string): boolean {
    const last = this.atRevision(revision);
    for (let crumb = last; crumb !== undefined; crumb = this.at(crumb.sequence - 1)) {
      if (formatDigest(crumb.digest) === digest) return true;
      if (crumb.revision !== revision) return false;
    }
    return false;
  }

  #trim(): void {
    const excess = this.#crumbs.length - this.#limits.maxCrumbs;
    // Trimmed in steps: moving the array for every crumb would cost O(n) each.
    const slack = Math.ceil(this.#limits.maxCrumbs / 16);
    let drop = excess > slack ? excess : 0;
    let bytes = this.#bytes;
    for (const crumb of this.#crumbs.slice(0, drop)) bytes -= crumb.bytes;
    while (bytes > this.#limits.maxBytes && drop < this.#crumbs.length - 1) {
      bytes -= this.#at(drop).bytes;
      drop += 1;
    }
    if (drop === 0) return;
    this.#crumbs = this.#crumbs.slice(drop);
    this.#bytes = bytes;
  }

  #at(index: number): Crumb {
    const crumb = this.#crumbs[index];
    if (crumb === undefined) throw new RangeError(`no crumb ${index} of ${this.#crumbs.length}`);
    return crumb;
  }
}

function originCrumb(sequence: number, origin: { revision: Revision; digest: Digest }): Crumb {
  const { revision, digest } = origin;
  return { sequence, revision, digest, upserts: [], removes: [], bytes: 0 };
}

function changeBytes({ upserts, removes }: TableChange): number {
  let bytes = 0;
  for (const row of upserts) bytes += row.bytes.length;
  for (const key of removes) bytes += key.length + 2;
  return bytes;
}
