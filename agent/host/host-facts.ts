/**
 * Reads from the kernel what a planner must know of this machine, and notices when it moves:
 * an address that changes is advertised and programmed without a restart (flannel never looks
 * again, contract 5). While nothing fits, the last choice stays in force and the data plane
 * with it.
 */
import type { Clock } from "../../common/async/clock.ts";
import { kickOrTimeout } from "../../common/async/kick-or-timeout.ts";
import { Trigger } from "../../common/async/trigger.ts";
import type { HealthComponent } from "../../common/health.ts";
import { errorFields, type Logger } from "../../common/log.ts";
import { type Family, formatIp, type Ip } from "../../common/net/ip.ts";
import type { Kernel, KernelEvent } from "../kernel/kernel.ts";
import { type HostFacts, interfaceAddressOf } from "../plan/host-facts.ts";
import { RTPROT_TWILL } from "../plan/route-protocol.ts";
import { DirectPeers } from "./direct-peers.ts";
import {
  type HostListing,
  type InterfaceChoice,
  type InterfaceWish,
  needsDefaultRoute,
  sameChoice,
  selectInterface,
} from "./interface-select.ts";

/** Changes come in groups (an address, its routes): read once, after the group. */
const DEBOUNCE_MS = 100;
/** Events may be missed while nothing fits; looked at again this often. */
const RETRY_MS = 10_000;
/** Devices of overlays, ours and flannel's: never an underlay of their own (contract 3). */
const OVERLAY_DEVICE = /^flannel(-v6)?\.[0-9]+$|^flannel\.ipip$|^flannel[0-9]+$|^flannel-wg(-v6)?$/;

export interface HostWatchOptions {
  readonly kernel: Kernel;
  readonly wish: InterfaceWish;
  readonly clock: Clock;
  readonly log: Logger;
  readonly health: HealthComponent;
  /** Called when the choice, an address or reachability may have changed. */
  readonly onChange: () => void;
}

type UnderlayEvent = Exclude<KernelEvent, { kind: "neighbour" | "fdb" }>;

export type HostChoice = Omit<HostFacts, "direct">;

export class HostWatch {
  readonly #options: HostWatchOptions;
  readonly #suspect = new Trigger();
  readonly #direct: DirectPeers;
  #families: readonly Family[] = [];
  /** The last choice that succeeded. */
  #selected: Extract<InterfaceChoice, { kind: "selected" }> | undefined;
  #choice: HostChoice | undefined;

  constructor(options: HostWatchOptions) {
    this.#options = options;
    this.#direct = new DirectPeers(options.kernel);
  }

  /** The families of the network config; nothing is chosen before they are known. */
  need(families: readonly Family[]): void {
    if (families.join() === this.#families.join()) return;
    this.#families = families;
    this.#suspect.kick();
  }

  /** undefined until an interface was found for the families needed; the same object until it changes. */
  get choice(): HostChoice | undefined {
    const { external } = this.#choice ?? {};
    const covers = this.#families.every(
      (family) => external !== undefined && interfaceAddressOf(external, family) !== undefined,
    );
    return covers && this.#families.length > 0 ? this.#choice : undefined;
  }

  /** Which of all peers' addresses are reached without a gateway; asked of the kernel once each. */
  direct(addresses: Iterable<Ip>, signal: AbortSignal): Promise<ReadonlySet<string>> {
    return this.#direct.among(addresses, signal);
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, kernel } = this.#options;
    using _watching = kernel.watch((event) => this.#onEvent(event));
    for (;;) {
      const isWaiting = this.choice === undefined && this.#families.length > 0;
      const limitMs = isWaiting ? RETRY_MS : Number.POSITIVE_INFINITY;
      await kickOrTimeout(this.#suspect, limitMs, clock, signal);
      if (this.#families.length > 0) await this.#look(signal);
      await clock.sleep(DEBOUNCE_MS, signal);
    }
  }

  async #look(signal: AbortSignal): Promise<void> {
    try {
      const listing = await this.#read(signal);
      this.#take(selectInterface(this.#options.wish, this.#families, listing));
    } catch (error) {
      signal.throwIfAborted();
      this.#suspect.kick();
      this.#missing(String(errorFields(error)["error"]));
    }
  }

  #take(choice: InterfaceChoice): void {
    const { health, log, onChange } = this.#options;
    if (choice.kind === "none") {
      this.#missing(choice.message);
      return;
    }
    health.ok();
    if (this.#selected !== undefined && sameChoice(this.#selected, choice)) return;
    this.#selected = choice;
    const { external, because, publicIp, publicIpv6 } = choice;
    this.#choice = { external, publicIp, publicIpv6 };
    this.#direct.forget();
    log.event("interface.selected", `${external.name} carries the underlay, by ${because}`, {
      interface: external.name,
      mtu: external.mtuBytes,
      ...shown("address", external.v4),
      ...shown("address_v6", external.v6),
      ...shown("public_ip", publicIp),
      ...shown("public_ipv6", publicIpv6),
    });
    onChange();
  }

  #missing(why: string): void {
    const { health, log } = this.#options;
    const stays = this.#choice === undefined ? "" : `; ${this.#choice.external.name} stays in use`;
    const message =
      `no external interface fits: ${why}${stays}. Give --iface, --iface-regex or ` +
      "--iface-can-reach, or mend the interface; it is looked at again when something changes";
    health.degraded(`no external interface fits: ${why}`);
    log.event("interface.missing", message);
  }

  #onEvent(event: KernelEvent): void {
    if (event.kind === "neighbour" || event.kind === "fdb") return;
    if (event.kind !== "gap" && OVERLAY_DEVICE.test(deviceOf(event))) return;
    if (this.#mayMoveRoutes(event)) this.#forgetDirect();
    if (this.#mayMoveChoice(event)) this.#suspect.kick();
  }

  /** Linux says nothing of the routes that go with a device or its address: kernel.ts. */
  #mayMoveRoutes(event: UnderlayEvent): boolean {
    switch (event.kind) {
      case "gap":
        return true;
      case "route":
        return event.route.protocol !== RTPROT_TWILL;
      case "link":
        return event.removed || !event.link.up;
      case "address":
        return event.removed;
    }
  }

  #mayMoveChoice(event: UnderlayEvent): boolean {
    switch (event.kind) {
      case "gap":
      case "address":
        return true;
      case "route":
        return event.route.destination.prefix === 0 || this.#options.wish.canReach !== undefined;
      case "link": {
        // Containers' devices come and go all the time.
        const external = this.#choice?.external;
        const { index, name } = event.link;
        return external === undefined || external.index === index || external.name === name;
      }
    }
  }

  #forgetDirect(): void {
    if (this.#direct.size === 0) return;
    this.#direct.forget();
    this.#options.onChange();
  }

  async #read(signal: AbortSignal): Promise<HostListing> {
    const { kernel, wish } = this.#options;
    const links = await kernel.listLinks(signal);
    const addresses = await kernel.listAddresses(signal);
    const { canReach } = wish;
    return {
      links: links
        .filter(({ name }) => !OVERLAY_DEVICE.test(name))
        .toSorted((a, b) => a.index - b.index),
      addresses,
      defaultDevice: {
        v4: await this.#defaultDevice(4, signal),
        v6: await this.#defaultDevice(6, signal),
      },
      reach: canReach === undefined ? undefined : await kernel.lookUpRoute(canReach, signal),
    };
  }

  /** "": there is a default route, but it has several next hops. */
  async #defaultDevice(family: Family, signal: AbortSignal): Promise<string | undefined> {
    const { kernel } = this.#options;
    const isAsked = needsDefaultRoute(this.#options.wish, this.#families);
    if (!isAsked || !this.#families.includes(family)) return undefined;
    const device = await kernel.defaultRouteDevice(family, signal);
    if (device !== undefined) return device;
    const routes = await kernel.listRoutes(signal);
    const hasDefault = routes.some(
      ({ destination, type }) =>
        destination.prefix === 0 && destination.ip.family === family && type === "unicast",
    );
    return hasDefault ? "" : undefined;
  }
}

function deviceOf(event: Exclude<UnderlayEvent, { kind: "gap" }>): string {
  switch (event.kind) {
    case "link":
      return event.link.name;
    case "address":
      return event.address.device;
    case "route":
      return event.route.device ?? "";
  }
}

function shown(field: string, ip: Ip | undefined): Readonly<Record<string, string>> {
  return ip === undefined ? {} : { [field]: formatIp(ip) };
}
