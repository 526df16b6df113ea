/**
 * Holds withdrawals back when a large share of all leases ends within seconds: far likelier
 * the keep-alives were lost than the machines, and every route of the network is not taken
 * away on that. What agents are told then is the table plus what is held. Leases that come back
 * meanwhile, as those of connected nodes do, were never gone for anybody. Pure but for its
 * memory; confirm-withdrawals.ts decides when the held ones pass.
 */
import { type Lease, subnetsOverlap } from "../../common/lease/lease.ts";
import { addLease, type Digest } from "../../common/lease/lease-digest.ts";
import { type LeaseRow, sameBytes, type TableChange } from "./table-change.ts";

export interface StormLimits {
  /** Of all leases, in percent; 0: never hold. */
  readonly percent: number;
  /** Fewer than these are no storm, whatever their share is. */
  readonly atLeast: number;
}

/** A third of a fleet does not die in ten seconds; half of a lab may. */
export const DEFAULT_STORM_LIMITS: StormLimits = { percent: 30, atLeast: 5 };
export const NO_STORM_LIMITS: StormLimits = { percent: 0, atLeast: 0 };
/** Ends within this time count together. */
export const STORM_WINDOW_MS = 10_000;
/** So long must nothing end before the held ones may pass; a connected node claims its lease anew within. */
export const STORM_CALM_MS = 5000;

export class ExpiryStorm {
  readonly #limits: StormLimits;
  readonly #held = new Map<string, LeaseRow>();
  /** When each lease ended that has not come back since; those of the window. */
  readonly #ended = new Map<string, number>();
  #lastEndMs = Number.NEGATIVE_INFINITY;

  constructor(limits: StormLimits) {
    this.#limits = limits;
  }

  /** Rows that have ended and are still shown to agents. */
  get held(): ReadonlyMap<string, LeaseRow> {
    return this.#held;
  }

  /** The digest of the table as agents are to see it, from the table's own. */
  digest(ofTable: Digest): Digest {
    let digest = ofTable;
    for (const { lease } of this.#held.values()) digest = addLease(digest, lease);
    return digest;
  }

  /** What agents are told of a change. `leases`: how many the table has after it. */
  take(change: TableChange, leases: number, nowMs: number): TableChange {
    const { percent } = this.#limits;
    if (percent === 0) return change;
    const { upserts, uncovered } = this.#cover(change.upserts);
    for (const { lease } of change.upserts) this.#ended.delete(lease.key);
    const isStorm = this.#count(change.ended, leases, nowMs);
    const kept = new Set<string>();
    if (isStorm) {
      for (const row of change.ended) {
        this.#held.set(row.lease.key, row);
        kept.add(row.lease.key);
      }
    }
    const removes = [...change.removes.filter((key) => !kept.has(key)), ...uncovered];
    return { ...change, upserts, removes };
  }

  /** True when the storm is over: the held ones may pass once etcd has confirmed them. */
  isCalm(nowMs: number): boolean {
    return nowMs - this.#lastEndMs >= STORM_CALM_MS;
  }

  /** Holds nothing any more; answers the keys that were held. */
  pass(): readonly string[] {
    const keys = [...this.#held.keys()];
    this.#held.clear();
    this.#ended.clear();
    return keys;
  }

  /** True when what ended lately is a storm, or one is still being held. */
  #count(ended: readonly LeaseRow[], leases: number, nowMs: number): boolean {
    for (const [key, atMs] of this.#ended) {
      if (nowMs - atMs >= STORM_WINDOW_MS) this.#ended.delete(key);
    }
    for (const { lease } of ended) {
      this.#ended.set(lease.key, nowMs);
      this.#lastEndMs = nowMs;
    }
    const lately = this.#ended.size;
    const { percent, atLeast } = this.#limits;
    const isStorm = lately >= atLeast && lately * 100 >= percent * (leases + lately);
    return isStorm || this.#held.size > 0;
  }

  /** New rows take the place of held ones: of the same key, or of the same addresses. */
  #cover(rows: readonly LeaseRow[]): {
    readonly upserts: readonly LeaseRow[];
    readonly uncovered: readonly string[];
  } {
    if (this.#held.size === 0) return { upserts: rows, uncovered: [] };
    const upserts = rows.filter((row) => {
      const held = this.#held.get(row.lease.key);
      this.#held.delete(row.lease.key);
      return held === undefined || !sameBytes(held.bytes, row.bytes);
    });
    const uncovered = upserts.flatMap(({ lease }) => this.#dropOverlapping(lease));
    return { upserts, uncovered };
  }

  #dropOverlapping({ subnets }: Lease): readonly string[] {
    const keys = [...this.#held]
      .filter(([, { lease }]) => subnetsOverlap(lease.subnets, subnets))
      .map(([key]) => key);
    for (const key of keys) this.#held.delete(key);
    return keys;
  }
}
