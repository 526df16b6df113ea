/**
 * The real Kernel: rtnetlink over our own sockets, one for writes, one for reads and one for
 * each watch, so that none can block or confuse another. No device index is kept between calls:
 * names are resolved anew for each (a few microseconds), so none can be stale.
 */
import type { Family, Ip } from "../../common/net/ip.ts";
import type { LinkSpec } from "../plan/kernel-state.ts";
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
  WireguardPeerState,
} from "./kernel.ts";
import { decodeAddress, encodeAddressDump } from "./netlink/address.ts";
import {
  devicesOf,
  encodeChange,
  failuresOf,
  type RouteChange,
  runsOf,
  splitByDevice,
} from "./netlink/change.ts";
import { NETLINK } from "./netlink/constants.ts";
import { decodeLink, encodeLinkDump } from "./netlink/link.ts";
import { LinkWrites } from "./netlink/link-writes.ts";
import { MONITOR_GROUPS, NetlinkMonitor } from "./netlink/monitor.ts";
import { LinkNames, type NameOf } from "./netlink/names.ts";
import {
  decodeFdb,
  decodeNeighbour,
  encodeFdbDump,
  encodeNeighbourDump,
} from "./netlink/neighbour.ts";
import { openNetlink } from "./netlink/open.ts";
import {
  decodeRoute,
  decodeRouteLookup,
  encodeRouteDump,
  encodeRouteLookup,
} from "./netlink/route.ts";
import { NetlinkSocket } from "./netlink/socket.ts";
import { WireguardSocket } from "./netlink/wireguard-socket.ts";
import { readTxChecksum } from "./tx-checksum.ts";

export interface NetlinkKernelOptions {
  /** Path of another network namespace; default: the process's own. */
  readonly netns?: string;
}

/** Answers to one send, and room for a dump; far below what 200 answers need. */
const REQUEST_RECEIVE_BYTES = 4 << 20;
/** 20,000 peers that go at once make 80,000 events, each 768 bytes in the kernel (it doubles this). */
const MONITOR_RECEIVE_BYTES = 64 << 20;
const TUNNEL_KINDS: ReadonlySet<string> = new Set(["vxlan", "ipip", "wireguard"]);

export class NetlinkKernel implements Kernel, AsyncDisposable {
  readonly #netns: string | undefined;
  readonly #writes: NetlinkSocket;
  readonly #reads: NetlinkSocket;
  readonly #wireguard: WireguardSocket;
  readonly #names: LinkNames;
  readonly #links: LinkWrites;

  /** Opens its sockets with the first call that needs them. */
  constructor(options: NetlinkKernelOptions = {}) {
    this.#netns = options.netns;
    this.#writes = new NetlinkSocket(() => this.#open(NETLINK.ROUTE, [], REQUEST_RECEIVE_BYTES));
    this.#reads = new NetlinkSocket(() => this.#open(NETLINK.ROUTE, [], REQUEST_RECEIVE_BYTES));
    this.#wireguard = new WireguardSocket(() =>
      this.#open(NETLINK.GENERIC, [], REQUEST_RECEIVE_BYTES),
    );
    this.#names = new LinkNames(this.#reads);
    this.#links = new LinkWrites({
      writes: this.#writes,
      wireguard: this.#wireguard,
      names: this.#names,
      netns: this.#netns,
    });
  }

  async listLinks(signal: AbortSignal): Promise<readonly LinkState[]> {
    const links = await this.#reads.dump(
      { what: "list links", encode: encodeLinkDump, decode: decodeLink },
      signal,
    );
    const complete: LinkState[] = [];
    for (const link of links) complete.push(await this.#complete(link, signal));
    return complete;
  }

  /** What rtnetlink does not say of a tunnel. */
  async #complete(link: LinkState, signal: AbortSignal): Promise<LinkState> {
    if (!TUNNEL_KINDS.has(link.kind)) return link;
    const txChecksum = await readTxChecksum(link.name, this.#netns);
    const wireguard =
      link.kind === "wireguard" ? await this.#wireguard.info(link.name, signal) : undefined;
    return {
      ...link,
      ...(wireguard === undefined ? {} : { wireguard }),
      ...(txChecksum === undefined ? {} : { txChecksum }),
    };
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

  listWireguardPeers(device: string, signal: AbortSignal): Promise<readonly WireguardPeerState[]> {
    return this.#wireguard.peers(device, signal);
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
    const { index, gateway, source, ...more } = found;
    const device = await this.#names.nameOf(index, signal);
    return device === undefined ? undefined : { device, gateway, source, ...more };
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
    return this.#links.create(link, signal);
  }

  setLink(name: string, set: LinkChange, signal: AbortSignal): Promise<void> {
    return this.#links.set(name, set, signal);
  }

  deleteLink(name: string, signal: AbortSignal): Promise<void> {
    return this.#links.delete(name, signal);
  }

  async apply(
    changes: readonly KernelChange[],
    signal: AbortSignal,
  ): Promise<readonly ChangeFailure[]> {
    const failures: ChangeFailure[] = [];
    for (const { wireguard, others } of runsOf(changes)) {
      if (wireguard.length > 0) failures.push(...(await this.#wireguard.apply(wireguard, signal)));
      if (others.length > 0) failures.push(...(await this.#apply(others, signal)));
    }
    return failures;
  }

  watch(listener: (event: KernelEvent) => void): Disposable {
    return new NetlinkMonitor({
      open: () => this.#open(NETLINK.ROUTE, MONITOR_GROUPS, MONITOR_RECEIVE_BYTES),
      linkNames: (signal) => this.#names.all(signal),
      listener,
    });
  }

  /** Waits for the call under way, then closes. */
  async [Symbol.asyncDispose](): Promise<void> {
    const sockets = [this.#writes, this.#reads, this.#wireguard];
    await Promise.all(sockets.map((socket) => socket[Symbol.asyncDispose]()));
  }

  async #apply(
    changes: readonly RouteChange[],
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

  #open(protocol: number, groups: readonly number[], receiveBytes: number): number {
    return openNetlink({ protocol, groups, receiveBytes, netns: this.#netns });
  }
}

/** The kernel filtered by this device already. */
function onlyName(index: number, name: string): NameOf {
  return (found) => (found === index ? name : undefined);
}
