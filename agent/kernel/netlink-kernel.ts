/**
 * The real Kernel: rtnetlink over our own sockets, one for writes, one for reads and one for
 * each watch, so that none can block or confuse another. No device index is kept between calls:
 * names are resolved anew for each (a few microseconds), so none can be stale.
 */
import { closeSync } from "node:fs";
import type { Family, Ip } from "../../common/net/ip.ts";
import type { LinkSpec, TunLink } from "../plan/kernel-state.ts";
import type {
  AddressState,
  ChangeFailure,
  FdbState,
  Kernel,
  KernelChange,
  KernelEvent,
  LinkChange,
  LinkState,
  NeighbourState,
  RouteLookup,
  RouteState,
} from "./kernel.ts";
import { decodeAddress, encodeAddressDump } from "./netlink-address.ts";
import { devicesOf, encodeChange, failuresOf, splitByDevice } from "./netlink-change.ts";
import { NETLINK } from "./netlink-constants.ts";
import { refused, unsupportedLink } from "./netlink-errors.ts";
import {
  decodeLink,
  encodeLinkChange,
  encodeLinkCreation,
  encodeLinkDeletion,
  encodeLinkDump,
} from "./netlink-link.ts";
import type { NetlinkLink } from "./netlink-link-info.ts";
import { MONITOR_GROUPS, NetlinkMonitor } from "./netlink-monitor.ts";
import { LinkNames, type NameOf } from "./netlink-names.ts";
import {
  decodeFdb,
  decodeNeighbour,
  encodeFdbDump,
  encodeNeighbourDump,
} from "./netlink-neighbour.ts";
import { inNamespace, openNetlink } from "./netlink-open.ts";
import {
  decodeRoute,
  decodeRouteLookup,
  encodeRouteDump,
  encodeRouteLookup,
} from "./netlink-route.ts";
import { NetlinkSocket, type Refusal } from "./netlink-socket.ts";
import type { MessageWriter } from "./netlink-writer.ts";

export interface NetlinkKernelOptions {
  /** Path of another network namespace; default: the process's own. */
  readonly netns?: string;
}

/** Answers to one send, and room for a dump; far below what 200 answers need. */
const REQUEST_RECEIVE_BYTES = 4 << 20;
/** 20,000 peers that go at once make 80,000 events, each 768 bytes in the kernel (it doubles this). */
const MONITOR_RECEIVE_BYTES = 64 << 20;

export class NetlinkKernel implements Kernel, AsyncDisposable {
  readonly #netns: string | undefined;
  readonly #writes: NetlinkSocket;
  readonly #reads: NetlinkSocket;
  readonly #names: LinkNames;

  /** Opens its sockets with the first call that needs them. */
  constructor(options: NetlinkKernelOptions = {}) {
    this.#netns = options.netns;
    this.#writes = new NetlinkSocket(() => this.#open([], REQUEST_RECEIVE_BYTES));
    this.#reads = new NetlinkSocket(() => this.#open([], REQUEST_RECEIVE_BYTES));
    this.#names = new LinkNames(this.#reads);
  }

  listLinks(signal: AbortSignal): Promise<readonly LinkState[]> {
    return this.#reads.dump(
      { what: "list links", encode: encodeLinkDump, decode: decodeLink },
      signal,
    );
  }

  listAddresses(signal: AbortSignal): Promise<readonly AddressState[]> {
    return this.#names.naming(signal, (nameOf) =>
      this.#reads.dump(
        {
          what: "list addresses",
          encode: encodeAddressDump,
          decode: (message) => decodeAddress(message, nameOf),
        },
        signal,
      ),
    );
  }

  async listNeighbours(device: string, signal: AbortSignal): Promise<readonly NeighbourState[]> {
    const index = await this.#names.indexOf(device, signal);
    if (index === undefined) return [];
    const nameOf = onlyName(index, device);
    return this.#reads.dump(
      {
        what: `list neighbours of ${device}`,
        encode: (writer, seq) => encodeNeighbourDump(writer, index, seq),
        decode: (message) => decodeNeighbour(message, nameOf),
      },
      signal,
    );
  }

  async listFdb(device: string, signal: AbortSignal): Promise<readonly FdbState[]> {
    const index = await this.#names.indexOf(device, signal);
    if (index === undefined) return [];
    const nameOf = onlyName(index, device);
    return this.#reads.dump(
      {
        what: `list the FDB of ${device}`,
        encode: (writer, seq) => encodeFdbDump(writer, index, seq),
        decode: (message) => decodeFdb(message, nameOf),
      },
      signal,
    );
  }

  async listRoutes(signal: AbortSignal): Promise<readonly RouteState[]> {
    return this.#names.naming(signal, async (nameOf) => {
      const routes = await this.#routesOf(4, nameOf, signal);
      for (const route of await this.#routesOf(6, nameOf, signal)) routes.push(route);
      return routes;
    });
  }

  async lookUpRoute(destination: Ip, signal: AbortSignal): Promise<RouteLookup | undefined> {
    let found: ReturnType<typeof decodeRouteLookup>;
    const refusals = await this.#reads.transact(
      {
        count: 1,
        encode: (writer, _index, seq) => encodeRouteLookup(writer, destination, seq),
        onMessage: (message) => {
          found = decodeRouteLookup(message);
        },
      },
      signal,
    );
    // Every refusal of a look-up says that there is no way: no route, blackhole, prohibited …
    if (found === undefined || refusals.length > 0) return undefined;
    const { index, gateway, source } = found;
    const device = await this.#names.nameOf(index, signal);
    return device === undefined ? undefined : { device, gateway, source };
  }

  async defaultRouteDevice(family: Family, signal: AbortSignal): Promise<string | undefined> {
    const routes = await this.#names.naming(signal, (nameOf) =>
      this.#routesOf(family, nameOf, signal),
    );
    // The kernel lists routes of one destination by metric.
    return routes.find(({ destination, type }) => destination.prefix === 0 && type === "unicast")
      ?.device;
  }

  createLink(link: LinkSpec, signal: AbortSignal): Promise<void> {
    return link.kind === "tun" ? this.#createTun(link, signal) : this.#createByLink(link, signal);
  }

  async setLink(name: string, set: LinkChange, signal: AbortSignal): Promise<void> {
    const refusal = await this.#writeOne(
      (writer, seq) => encodeLinkChange(writer, name, set, seq),
      signal,
    );
    if (refusal !== undefined) throw refused(`change ${name}`, refusal.errno, refusal.sentence);
  }

  async deleteLink(name: string, signal: AbortSignal): Promise<void> {
    const refusal = await this.#writeOne(
      (writer, seq) => encodeLinkDeletion(writer, name, seq),
      signal,
    );
    if (refusal === undefined || refusal.errno === "ENODEV") return;
    throw refused(`delete ${name}`, refusal.errno, refusal.sentence);
  }

  async apply(
    changes: readonly KernelChange[],
    signal: AbortSignal,
  ): Promise<readonly ChangeFailure[]> {
    const indices = await this.#names.indicesOf(devicesOf(changes), signal);
    const head = { op: "put" as KernelChange["op"], index: 0, seq: 0 };
    const { sendable, failures } = splitByDevice(changes, indices);
    const refusals = await this.#writes.transact(
      {
        count: sendable.length,
        encode: (writer, at, seq) => {
          const change = sendable[at];
          if (change === undefined) return;
          head.op = change.op;
          head.index = indices.get(change.object.device ?? "") ?? 0;
          head.seq = seq;
          encodeChange(writer, head, change);
        },
      },
      signal,
    );
    return [...failures, ...failuresOf(sendable, refusals)];
  }

  watch(listener: (event: KernelEvent) => void): Disposable {
    return new NetlinkMonitor({
      open: () => this.#open(MONITOR_GROUPS, MONITOR_RECEIVE_BYTES),
      linkNames: (signal) => this.#names.all(signal),
      listener,
    });
  }

  /** Waits for the call under way, then closes. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#writes[Symbol.asyncDispose](), this.#reads[Symbol.asyncDispose]()]);
  }

  async #createByLink(link: NetlinkLink, signal: AbortSignal): Promise<void> {
    const lowerIndex = await this.#lowerIndexOf(link, signal);
    const refusal = await this.#writeOne(
      (writer, seq) => encodeLinkCreation(writer, link, lowerIndex, seq),
      signal,
    );
    if (refusal === undefined) return;
    const { errno, sentence } = refusal;
    if (errno === "EOPNOTSUPP") throw unsupportedLink(link.name, link.kind, sentence);
    throw refused(`create ${link.name}`, errno, sentence);
  }

  async #lowerIndexOf(link: NetlinkLink, signal: AbortSignal): Promise<number> {
    if (link.kind !== "vxlan") return 0;
    const index = await this.#names.indexOf(link.lower, signal);
    if (index !== undefined) return index;
    throw refused(`create ${link.name}`, "ENODEV", `there is no interface ${link.lower}`);
  }

  /** The kernel makes TUN devices by ioctl only; loaded for the udp backend alone. */
  async #createTun(link: TunLink, signal: AbortSignal): Promise<void> {
    if ((await this.#names.indexOf(link.name, signal)) !== undefined) {
      throw refused(`create ${link.name}`, "EEXIST");
    }
    const { openTunDevice } = await import("../tunnel/tun-device.ts");
    closeSync(inNamespace(this.#netns, () => openTunDevice(link.name, true).fd));
    await this.setLink(link.name, { mtuBytes: link.mtuBytes }, signal);
  }

  /** Both families are not in one dump: the kernel filters by table only within a family. */
  #routesOf(family: Family, nameOf: NameOf, signal: AbortSignal): Promise<RouteState[]> {
    return this.#reads.dump(
      {
        what: `list IPv${family} routes`,
        encode: (writer, seq) => encodeRouteDump(writer, family, seq),
        decode: (message) => decodeRoute(message, family, nameOf),
        emptyWhen: "ENOENT",
      },
      signal,
    );
  }

  async #writeOne(
    encode: (writer: MessageWriter, seq: number) => void,
    signal: AbortSignal,
  ): Promise<Refusal | undefined> {
    const refusals = await this.#writes.transact(
      { count: 1, encode: (writer, _at, seq) => encode(writer, seq) },
      signal,
    );
    return refusals[0];
  }

  #open(groups: readonly number[], receiveBytes: number): number {
    return openNetlink({ protocol: NETLINK.ROUTE, groups, receiveBytes, netns: this.#netns });
  }
}

/** The kernel filtered by this device already. */
function onlyName(index: number, name: string): NameOf {
  return (found) => (found === index ? name : undefined);
}
