/**
 * One kind of kernel object on its way between plan and kernel: how it is listed, what is
 * pending, what was confirmed. The kinds differ in their types only, so the reconciler speaks
 * to all of them through KindDriver and never sees a spec.
 */
import type { Kernel, KernelChange } from "../kernel/kernel.ts";
import type { ObjectKind } from "../plan/kernel-object.ts";
import type { DeltaTracker, Obstacle, Pending } from "./delta-tracker.ts";
import type { RepairedDrift } from "./drift-book.ts";
import type { Realm } from "./ownership.ts";

/** A change that is pending, with everything the pass must know of it. */
export interface PendingChange {
  readonly op: "put" | "delete";
  readonly kind: ObjectKind;
  readonly key: string;
  /** Kind and key: what failures and repairs are counted by. */
  readonly id: string;
  readonly replaces: boolean;
  /** undefined: the kernel chooses the device. */
  readonly device: string | undefined;
  readonly change: KernelChange;
  /** The kernel has made it. */
  readonly confirm: () => void;
}

export interface KindDriver {
  readonly kind: ObjectKind;
  /** True when the kernel must be listed before the next write. */
  mustRead: boolean;
  readonly desiredCount: number;
  readonly missingCount: number;
  readonly isKnown: boolean;
  setRealm(realm: Realm): void;
  /** Opens the window for a list or a write (delta-tracker.ts). */
  openWindow(): void;
  forget(): void;
  read(kernel: Kernel, nowMs: () => number, signal: AbortSignal): Promise<void>;
  pending(addOnly: boolean): PendingChange[];
  obstacles(): Obstacle[];
  isDrifting(key: string): boolean;
  settleDrift(): void;
  takeRepaired(): readonly RepairedDrift[];
}

export type Lister<State> = (
  kernel: Kernel,
  devices: ReadonlySet<string>,
  signal: AbortSignal,
) => Promise<readonly State[]>;

export interface KindPorts<Spec, State> {
  readonly kind: ObjectKind;
  readonly list: Lister<State>;
  readonly device: (spec: Spec) => string | undefined;
  readonly change: (op: "put" | "delete", object: Spec) => KernelChange;
}

export class TrackedKind<Spec, State extends Spec> implements KindDriver {
  readonly tracker: DeltaTracker<Spec, State>;
  mustRead = true;
  readonly #ports: KindPorts<Spec, State>;
  #devices: ReadonlySet<string> = new Set();

  constructor(tracker: DeltaTracker<Spec, State>, ports: KindPorts<Spec, State>) {
    this.tracker = tracker;
    this.#ports = ports;
  }

  get kind(): ObjectKind {
    return this.#ports.kind;
  }

  get desiredCount(): number {
    return this.tracker.desiredCount;
  }

  get missingCount(): number {
    return this.tracker.missingCount;
  }

  get isKnown(): boolean {
    return this.tracker.isKnown;
  }

  setRealm(realm: Realm): void {
    this.#devices = realm.devices;
    this.tracker.setRealm(realm);
  }

  openWindow(): void {
    this.tracker.openWindow();
  }

  forget(): void {
    this.mustRead = true;
    this.tracker.forget();
  }

  async read(kernel: Kernel, nowMs: () => number, signal: AbortSignal): Promise<void> {
    this.tracker.openWindow();
    // Cleared before the list: an event that comes meanwhile may ask for another one.
    this.mustRead = false;
    try {
      const states = await this.#ports.list(kernel, this.#devices, signal);
      this.tracker.observeAll(states, nowMs());
    } catch (error) {
      this.mustRead = true;
      throw error;
    }
  }

  pending(addOnly: boolean): PendingChange[] {
    const puts = this.tracker
      .pendingPuts(addOnly)
      .map((one) => this.#pendingChange("put", one, () => this.tracker.confirmPut(one.spec)));
    if (addOnly) return puts;
    const deletes = this.tracker
      .pendingDeletes()
      .map((one) => this.#pendingChange("delete", one, () => this.tracker.confirmDelete(one.spec)));
    return [...puts, ...deletes];
  }

  obstacles(): Obstacle[] {
    return this.tracker.obstacles();
  }

  isDrifting(key: string): boolean {
    return this.tracker.isDrifting(key);
  }

  settleDrift(): void {
    this.tracker.settleDrift();
  }

  takeRepaired(): readonly RepairedDrift[] {
    return this.tracker.takeRepaired();
  }

  #pendingChange(op: "put" | "delete", one: Pending<Spec>, confirm: () => void): PendingChange {
    const { key, spec, replaces } = one;
    const { kind } = this;
    const change = this.#ports.change(op, spec);
    const device = this.#ports.device(spec);
    return { op, kind, key, id: `${kind} ${key}`, replaces, device, change, confirm };
  }
}
