/**
 * The kernel's events about links, addresses, neighbours, FDB entries and routes, decoded and
 * with device names. Names come from a list read at the start and from link events since.
 * Whenever something is lost, or about a device without a known name, the names are read again
 * and a gap is told: then the listener reads everything again anyway.
 *
 * States: reading names (nothing delivered, the kernel's buffer holds what comes), delivering,
 * closed.
 */
import { setTimeout as delay } from "node:timers/promises";
import { TaskGroup } from "../../../common/async/task-group.ts";
import type { KernelEvent } from "../kernel.ts";
import { decodeAddress } from "./address.ts";
import { RTM, RTNLGRP } from "./constants.ts";
import { EventSocket } from "./events.ts";
import { decodeLink } from "./link.ts";
import type { Message } from "./message.ts";
import { decodeFdb, decodeNeighbour, decodeNeighbourRemoval } from "./neighbour.ts";
import { decodeRoute } from "./route.ts";

export const MONITOR_GROUPS: readonly number[] = [
  RTNLGRP.LINK,
  RTNLGRP.NEIGH,
  RTNLGRP.IPV4_IFADDR,
  RTNLGRP.IPV6_IFADDR,
  RTNLGRP.IPV4_ROUTE,
  RTNLGRP.IPV6_ROUTE,
];

/** Names that cannot be read are asked for again after this long. */
const NAMES_RETRY_MS = 1000;

export interface MonitorOptions {
  /** Opens a socket that hears MONITOR_GROUPS. */
  readonly open: () => number;
  readonly linkNames: (signal: AbortSignal) => Promise<ReadonlyMap<number, string>>;
  readonly listener: (event: KernelEvent) => void;
}

export class NetlinkMonitor implements Disposable {
  readonly #linkNames: MonitorOptions["linkNames"];
  readonly #listener: MonitorOptions["listener"];
  readonly #socket: EventSocket;
  readonly #tasks = new TaskGroup();
  #names = new Map<number, string>();
  /** Devices that had no name in the last list: gone, and nothing is lost with them. */
  readonly #nameless = new Set<number>();
  #unnamed: number | undefined;

  constructor(options: MonitorOptions) {
    this.#linkNames = options.linkNames;
    this.#listener = options.listener;
    this.#socket = new EventSocket(options.open, {
      message: (message) => this.#onMessage(message),
      lost: () => this.#readNames("gap"),
    });
    this.#readNames("first");
  }

  [Symbol.dispose](): void {
    this.#tasks.abort();
    this.#socket[Symbol.dispose]();
  }

  /** Holds events back until the names are known, then tells the gap, if there was one. */
  #readNames(why: "first" | "gap"): void {
    this.#socket.pause();
    this.#tasks.spawn(async (signal) => {
      this.#names = new Map(await this.#untilRead(signal));
      if (this.#unnamed !== undefined && !this.#names.has(this.#unnamed)) {
        this.#nameless.add(this.#unnamed);
      }
      this.#unnamed = undefined;
      signal.throwIfAborted();
      if (why === "gap") this.#listener({ kind: "gap" });
      this.#socket.resume();
    });
  }

  async #untilRead(signal: AbortSignal): Promise<ReadonlyMap<number, string>> {
    for (;;) {
      try {
        return await this.#linkNames(signal);
      } catch {
        // Whoever lists links for the agent meets the same fault and reports it.
        await delay(NAMES_RETRY_MS, undefined, { signal });
      }
    }
  }

  #onMessage(message: Message): void {
    const event = this.#decode(message);
    if (event?.kind === "link") this.#noteLink(event);
    if (this.#unnamed === undefined) {
      if (event !== undefined) this.#listener(event);
    } else {
      this.#readNames("gap");
    }
    if (event?.kind === "link" && event.removed) this.#names.delete(event.link.index);
  }

  #noteLink({ link }: Extract<KernelEvent, { readonly kind: "link" }>): void {
    this.#names.set(link.index, link.name);
    this.#nameless.delete(link.index);
  }

  readonly #nameOf = (index: number): string | undefined => {
    const name = this.#names.get(index);
    if (name === undefined && !this.#nameless.has(index)) this.#unnamed = index;
    return name;
  };

  #decode(message: Message): KernelEvent | undefined {
    switch (message.type) {
      case RTM.NEWLINK:
      case RTM.DELLINK: {
        const link = decodeLink(message);
        const removed = message.type === RTM.DELLINK;
        return link && { kind: "link", removed, link };
      }
      case RTM.NEWADDR:
      case RTM.DELADDR: {
        const address = decodeAddress(message, this.#nameOf);
        return address && { kind: "address", removed: message.type === RTM.DELADDR, address };
      }
      case RTM.NEWROUTE:
      case RTM.DELROUTE: {
        const route = decodeRoute(message, "both", this.#nameOf);
        return route && { kind: "route", removed: message.type === RTM.DELROUTE, route };
      }
      case RTM.NEWNEIGH:
      case RTM.DELNEIGH:
        return this.#decodeNeighbour(message, message.type === RTM.DELNEIGH);
      default:
        return undefined;
    }
  }

  #decodeNeighbour(message: Message, removed: boolean): KernelEvent | undefined {
    const entry = decodeFdb(message, this.#nameOf);
    if (entry !== undefined) return { kind: "fdb", removed, entry };
    if (removed) {
      const gone = decodeNeighbourRemoval(message, this.#nameOf);
      return gone && { kind: "neighbour", removed, neighbour: gone };
    }
    const neighbour = decodeNeighbour(message, this.#nameOf);
    return neighbour && { kind: "neighbour", removed, neighbour };
  }
}
