/**
 * Everything the reconciler wants and believes, in one place: the devices, the trackers of the
 * keyed objects, and what must be looked at again. Plans and events change it, passes settle it.
 */
import type { Cidr } from "../../common/net/cidr.ts";
import type { TablePosition } from "../peers/peer-table.ts";
import type { KernelObject } from "../plan/kernel-object.ts";
import type { LinkSpec } from "../plan/kernel-state.ts";
import type { PlanDelta } from "../plan/plan-book.ts";
import { ObjectDrivers } from "./object-drivers.ts";
import type { Realm } from "./ownership.ts";

/** Where a plan comes from, and when its newest change was received. */
export interface PlanStamp {
  /** Of the table that was planned; undefined: no table yet (devices only). */
  readonly position: TablePosition | undefined;
  /** False for a plan from the cache: nothing may be deleted or replaced. */
  readonly isInSync: boolean;
  /** Monotonic. */
  readonly receivedMs: number;
  /** Of the node's input that was planned from. */
  readonly mark?: string;
}

export type PlanUpdate =
  | {
      readonly kind: "whole";
      readonly links: readonly LinkSpec[];
      readonly objects: readonly KernelObject[];
      /** The overlay networks, and the previous ones when they have just changed. */
      readonly networks: readonly Cidr[];
      /** Devices of earlier runs, as far as they are remembered. */
      readonly pastDevices?: readonly string[];
      readonly stamp: PlanStamp;
    }
  | { readonly kind: "patch"; readonly delta: PlanDelta; readonly stamp: PlanStamp };

export class Board {
  readonly drivers = new ObjectDrivers();
  links: readonly LinkSpec[] = [];
  realm: Realm = { devices: new Set(), networks: [], pastDevices: new Set() };
  stamp: PlanStamp | undefined;
  /** Devices must be looked at before the next write. */
  linksSuspect = true;
  /** When an event first said so; monotonic. */
  linksSuspectSinceMs: number | undefined;
  /** Devices of earlier configs may be left. */
  staleLinksSuspect = true;
  /** Some routes stand on devices that are not ours (host-gw, DirectRouting). */
  usesUnderlay = false;

  /** Deletions and replacements are allowed once a plan of a whole table has come. */
  get isAddOnly(): boolean {
    return this.stamp?.isInSync !== true;
  }

  get objectCount(): number {
    return this.drivers.all.reduce((sum, driver) => sum + driver.desiredCount, 0);
  }

  take(update: PlanUpdate): void {
    // In sync once is in sync for ever: what comes later is never older than that table.
    const wasInSync = this.stamp?.isInSync === true;
    const isInSync = update.stamp.isInSync || wasInSync;
    this.stamp = { ...update.stamp, isInSync };
    // What was put off until now (a device to be made anew, stale devices) is due.
    if (isInSync && !wasInSync) this.suspectAll();
    if (update.kind === "whole") this.#takeWhole(update);
    else this.#takePatch(update.delta);
  }

  spec(name: string): LinkSpec | undefined {
    return this.links.find((link) => link.name === name);
  }

  /** Nothing is believed any more; nothing of it is drift. */
  suspectAll(): void {
    this.linksSuspect = true;
    this.staleLinksSuspect = true;
    for (const driver of this.drivers.all) driver.mustRead = true;
  }

  #takeWhole(update: Extract<PlanUpdate, { kind: "whole" }>): void {
    this.links = update.links;
    this.realm = {
      devices: new Set(update.links.map((link) => link.name)),
      networks: update.networks,
      pastDevices: new Set(update.pastDevices),
    };
    this.drivers.setRealm(this.realm);
    this.drivers.replaceAll(update.objects);
    this.usesUnderlay = update.objects.some((item) => this.#isDirect(item));
    this.suspectAll();
  }

  #takePatch(delta: PlanDelta): void {
    for (const item of delta.removes) this.drivers.remove(item);
    for (const item of delta.puts) this.drivers.put(item);
    this.usesUnderlay ||= delta.puts.some((item) => this.#isDirect(item));
  }

  #isDirect(item: KernelObject): boolean {
    if (item.kind !== "route" || item.object.type === "blackhole") return false;
    return item.object.device === undefined || !this.realm.devices.has(item.object.device);
  }
}
