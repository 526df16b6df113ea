/**
 * Desired against believed, for one kind of kernel object. Pure: it makes no calls and knows no
 * clock. In the steady state it holds the desired objects and nothing else; only what differs
 * costs more.
 *
 *          desired                others: what stands in the kernel and should not,
 *   ┌──────────┬─────────┐        under a desired key (to be replaced) or under none
 *   │ applied  │ missing │        (to be deleted, when it is ours)
 *   └──────────┴─────────┘
 *
 * Belief comes from three sources: whole lists (`observeAll`), events (`observe…`) and
 * confirmed writes (`confirm…`). An event that arrives while a list or a write is under way is
 * newer than its result, so `openWindow` is called before each, and keys about which an event
 * changed our mind since are left to the events.
 *
 * A difference that appears where all was well is drift: it is remembered until it is
 * repaired, and then told once (`takeRepaired`).
 */
import type { KindRules } from "./diff.ts";
import { DriftBook, type RepairedDrift } from "./drift-book.ts";
import { type OtherObject, OtherObjects } from "./other-objects.ts";
import type { Realm } from "./ownership.ts";

export const ABSENT = "absent";

export interface Pending<Spec> {
  readonly key: string;
  readonly spec: Spec;
  /** Something else stands under the key now. */
  readonly replaces: boolean;
}

/** A desired object that cannot be put because the kernel's own stands there. */
export interface Obstacle {
  readonly key: string;
  readonly found: string;
}

export class DeltaTracker<Spec, State extends Spec> {
  readonly #rules: KindRules<Spec, State>;
  readonly #desired = new Map<string, Spec>();
  readonly #missing = new Set<string>();
  /** Of which the plan changed, and nothing was written since. */
  readonly #replanned = new Set<string>();
  readonly #others = new OtherObjects<Spec>();
  readonly #obstacles = new Map<string, string>();
  /** Accepted objects that a delete must name differently than the desired spec would. */
  readonly #variants = new Map<string, Spec>();
  readonly #touched = new Set<string>();
  readonly #drift = new DriftBook();
  #realm: Realm = { devices: new Set(), networks: [], pastDevices: new Set() };
  #isKnown = false;

  constructor(rules: KindRules<Spec, State>) {
    this.#rules = rules;
  }

  /** False: the kernel must be listed before anything is said or done. */
  get isKnown(): boolean {
    return this.#isKnown;
  }

  get desiredCount(): number {
    return this.#desired.size;
  }

  get missingCount(): number {
    return this.#missing.size;
  }

  isDrifting(key: string): boolean {
    return this.#drift.has(key);
  }

  setRealm(realm: Realm): void {
    this.#realm = realm;
  }

  put(spec: Spec): void {
    const key = this.#rules.key(spec);
    const text = this.#rules.format(spec);
    const before = this.#desired.get(key);
    if (before !== undefined && this.#rules.format(before) === text) return;
    this.#retire(key, before);
    if (before !== undefined && this.#rules.equalToNewPlan) this.#replanned.add(key);
    this.#desired.set(key, spec);
    // It may stand there still, removed from the plan and wanted again before anything was written.
    if (!this.#others.remove(key, text)) this.#missing.add(key);
  }

  remove(spec: Spec): void {
    const key = this.#rules.key(spec);
    this.#retire(key, this.#desired.get(key));
    this.#desired.delete(key);
    this.#replanned.delete(key);
    this.#missing.delete(key);
    this.#obstacles.delete(key);
  }

  replaceDesired(specs: readonly Spec[]): void {
    const keys = new Set(specs.map((spec) => this.#rules.key(spec)));
    for (const [key, spec] of this.#desired) if (!keys.has(key)) this.remove(spec);
    for (const spec of specs) this.put(spec);
  }

  /** Belief is lost with no drift to report: the device was made anew, or events were lost with it. */
  forget(): void {
    this.#isKnown = false;
    this.#drift.dropWhere(() => true);
  }

  openWindow(): void {
    this.#touched.clear();
  }

  /** A whole list of the kind; what is neither desired nor ours is left out. */
  observeAll(states: Iterable<State>, nowMs: number): void {
    const before = { missing: new Set(this.#missing), others: this.#others.copy() };
    for (const key of this.#others.keys()) if (!this.#touched.has(key)) this.#others.clear(key);
    this.#obstacles.clear();
    const applied = new Set<string>();
    for (const state of states) {
      const key = this.#rules.key(state);
      if (this.#touched.has(key)) continue;
      const wasOurs = before.others.get(key)?.some(({ isOurs }) => isOurs) ?? false;
      if (this.#settles(key, state)) applied.add(key);
      else this.#addOther(key, state, wasOurs);
    }
    this.#believe(applied);
    this.settleDrift();
    if (this.#isKnown) this.#noteDrift(before, nowMs);
    this.#isKnown = true;
  }

  /** An event says that the object is there, new or changed. True when it is not as it should be. */
  observe(state: State, nowMs: number): boolean {
    const key = this.#rules.key(state);
    const desired = this.#desired.get(key);
    if (desired === undefined && !this.#rules.owns(state, this.#realm)) return false;
    // The kernel's own comes beside ours, it does not replace it.
    if (this.#rules.isKernels(state)) return false;
    if (this.#settles(key, state)) {
      this.#touched.add(key);
      this.#missing.delete(key);
      this.#others.clear(key);
      return false;
    }
    const found = this.#rules.formatActual(state);
    if (this.#others.includes(key, found)) return false;
    this.#touched.add(key);
    this.#others.clear(key);
    this.#addOther(key, state, false);
    if (desired === undefined) this.#startDrift(key, ABSENT, found, nowMs);
    else this.#lose(key, desired, found, nowMs);
    return true;
  }

  /** An event says that an object is gone. True when there is something to do about it. */
  observeGone(gone: State, nowMs: number): boolean {
    const key = this.#rules.key(gone);
    if (this.#rules.isKernels(gone)) return this.#obstacles.delete(key);
    if (this.#others.remove(key, this.#rules.formatActual(gone))) {
      this.#touched.add(key);
      return false;
    }
    const desired = this.#desired.get(key);
    if (desired === undefined) return false;
    // Another version under the same key went (one of two remotes of a MAC): ours still stands.
    const standing = this.#variants.get(key) ?? desired;
    return !this.#rules.coexist(standing, gone) && this.observeKeyGone(key, nowMs);
  }

  /** Like `observeGone`, where the kernel says no more than the key. */
  observeKeyGone(key: string, nowMs: number): boolean {
    const desired = this.#desired.get(key);
    this.#others.clear(key);
    if (desired === undefined || this.#missing.has(key)) return false;
    this.#touched.add(key);
    this.#lose(key, desired, ABSENT, nowMs);
    return true;
  }

  /** `addOnly`: before the table is in sync nothing that stands is replaced. */
  pendingPuts(addOnly: boolean): Pending<Spec>[] {
    const puts: Pending<Spec>[] = [];
    for (const key of this.#missing) {
      const spec = this.#desired.get(key);
      const replaces = this.#others.has(key);
      if (spec === undefined || this.#obstacles.has(key) || (addOnly && replaces)) continue;
      puts.push({ key, spec, replaces });
    }
    return puts;
  }

  pendingDeletes(): Pending<Spec>[] {
    const deletes: Pending<Spec>[] = [];
    for (const [key, others] of this.#others.entries()) {
      const desired = this.#desired.get(key);
      // A put replaces the first of several; until then only the rest is in the way.
      const extra = this.#missing.has(key) ? others.slice(1) : others;
      for (const { spec, isOurs } of extra) {
        const isWanted = desired === undefined ? isOurs : this.#rules.coexist(desired, spec);
        if (isWanted) deletes.push({ key, spec, replaces: false });
      }
    }
    return deletes;
  }

  obstacles(): Obstacle[] {
    return [...this.#obstacles]
      .filter(([key]) => this.#missing.has(key))
      .map(([key, found]) => ({ key, found }));
  }

  confirmPut(spec: Spec): void {
    const key = this.#rules.key(spec);
    this.#replanned.delete(key);
    if (this.#touched.has(key)) {
      if (!this.#missing.has(key)) this.#drift.repaired(key);
      return;
    }
    this.#variants.delete(key);
    this.#others.shift(key);
    this.#missing.delete(key);
    this.#drift.repaired(key);
  }

  confirmDelete(spec: Spec): void {
    const key = this.#rules.key(spec);
    this.#others.remove(key, this.#rules.format(spec));
    if (!this.#others.has(key) && !this.#missing.has(key)) this.#drift.repaired(key);
  }

  /** Drift that is over without a write of ours is nobody's news. */
  settleDrift(): void {
    this.#drift.dropWhere((key) => !this.#missing.has(key) && !this.#others.has(key));
  }

  /** Drift that was repaired since the last call. */
  takeRepaired(): readonly RepairedDrift[] {
    return this.#drift.take();
  }

  /** What stood for a desired object becomes an other: it is ours, and must go or be replaced. */
  #retire(key: string, before: Spec | undefined): void {
    if (before === undefined) return;
    this.#drift.drop(key);
    const spec = this.#variants.get(key) ?? before;
    this.#variants.delete(key);
    if (this.#missing.has(key)) return;
    this.#others.unshift(key, { spec, text: this.#rules.format(spec), isOurs: true });
  }

  /** True when `state` is as desired; remembers how it must be called to delete it. */
  #settles(key: string, state: State): boolean {
    const desired = this.#desired.get(key);
    if (desired === undefined || !this.#isAsDesired(key, desired, state)) return false;
    if (this.#rules.format(desired) === this.#rules.format(state)) this.#variants.delete(key);
    else this.#variants.set(key, state);
    return true;
  }

  #isAsDesired(key: string, desired: Spec, state: State): boolean {
    if (!this.#replanned.has(key)) return this.#rules.equal(desired, state);
    return this.#rules.equalToNewPlan?.(desired, state) ?? false;
  }

  #believe(applied: ReadonlySet<string>): void {
    for (const key of this.#desired.keys()) {
      if (this.#touched.has(key)) continue;
      if (applied.has(key)) this.#missing.delete(key);
      else this.#missing.add(key);
    }
  }

  #addOther(key: string, spec: State, wasOurs: boolean): void {
    const isDesired = this.#desired.has(key);
    const text = this.#rules.formatActual(spec);
    if (this.#rules.isKernels(spec)) {
      if (isDesired) this.#obstacles.set(key, text);
      return;
    }
    const isOurs = wasOurs || this.#rules.owns(spec, this.#realm);
    if (isDesired || isOurs) this.#others.push(key, { spec, text, isOurs });
  }

  #noteDrift(
    before: {
      missing: ReadonlySet<string>;
      others: ReadonlyMap<string, readonly OtherObject<Spec>[]>;
    },
    nowMs: number,
  ): void {
    for (const key of this.#missing) {
      const desired = this.#desired.get(key);
      if (before.missing.has(key) || desired === undefined) continue;
      const found = this.#others.of(key)[0]?.text ?? this.#obstacles.get(key) ?? ABSENT;
      this.#startDrift(key, this.#rules.format(desired), found, nowMs);
    }
    for (const [key, [first]] of this.#others.entries()) {
      if (before.others.has(key) || this.#missing.has(key) || first === undefined) continue;
      const desired = this.#desired.get(key);
      const expected = desired === undefined ? ABSENT : this.#rules.format(desired);
      this.#startDrift(key, expected, first.text, nowMs);
    }
  }

  #lose(key: string, desired: Spec, found: string, nowMs: number): void {
    if (!this.#missing.has(key)) this.#startDrift(key, this.#rules.format(desired), found, nowMs);
    this.#missing.add(key);
  }

  #startDrift(key: string, expected: string, found: string, noticedMs: number): void {
    if (this.#isKnown) this.#drift.start({ key, expected, found, noticedMs });
  }
}
