/**
 * The network stack of a small Linux in memory: links, addresses, neighbours, FDB entries and
 * routes of one namespace, with the side effects and silences of the real one (measured on
 * Linux 6.18; test/contract/kernel.test.ts compares the two). It knows nothing of failures to
 * order and of the port: that is fake-kernel.ts.
 */

import type {
  AddressState,
  FdbState,
  KernelEvent,
  LinkChange,
  LinkState,
  NeighbourState,
  RouteLookup,
  RouteState,
  WireguardPeerState,
} from "../../agent/kernel/kernel.ts";
import {
  type AddressSpec,
  addressKey,
  type FdbSpec,
  fdbKey,
  type IpipLink,
  type LinkSpec,
  type NeighbourSpec,
  neighbourKey,
  type RouteSpec,
  type WireguardLink,
  type WireguardPeerSpec,
  wireguardPeerKey,
} from "../../agent/plan/kernel-state.ts";
import { type Cidr, cidr, containsIp, formatCidr, sameCidr } from "../../common/net/cidr.ts";
import { addressBits, type Ip, ip6, sameIp } from "../../common/net/ip.ts";
import { type Mac, macFromBytes, macToBytes } from "../../common/net/mac.ts";
import { WIREGUARD_IDENTITY } from "./leases.ts";

/** How a call ended: "" or an errno name, with the kernel's own sentence where it has one. */
export interface Verdict {
  readonly errno: string;
  readonly message: string;
}

const DONE: Verdict = { errno: "", message: "" };
const no = (errno: string, message = ""): Verdict => ({ errno, message });

/** rtm_protocol of what the kernel itself adds. */
const RTPROT_KERNEL = 2;
/** Metrics IPv6 gives to routes that come without one, and to connected ones. */
const IPV6_METRIC = 1024;
const IPV6_CONNECTED_METRIC = 256;
/** IFNAMSIZ - 1. */
const LONGEST_NAME = 15;

/** A tunnel as it is made; it offloads checksums until told otherwise. */
const NEW_TUNNEL = {
  ...{ up: false, running: false, mac: undefined, lowerIndex: 0, vxlan: undefined },
  txChecksum: true,
};

export interface FakeDevice {
  readonly name: string;
  /** undefined: a device without link addresses (tun). */
  readonly mac: Mac | undefined;
  readonly kind?: string;
  readonly mtuBytes?: number;
  readonly up?: boolean;
}

export class FakeNetwork {
  readonly links = new Map<string, LinkState>();
  readonly addresses = new Map<string, AddressState>();
  readonly neighbours = new Map<string, NeighbourState>();
  readonly fdb = new Map<string, FdbState>();
  readonly wireguardPeers = new Map<string, WireguardPeerState>();
  readonly routes = new Map<string, RouteState>();
  readonly #emit: (event: KernelEvent) => void;
  #nextIndex = 1;

  constructor(emit: (event: KernelEvent) => void) {
    this.#emit = emit;
    this.addDevice({
      name: "lo",
      mac: macFromBytes(new Uint8Array(6)),
      mtuBytes: 65_536,
      up: true,
    });
  }

  /** A device of the machine itself (a network card, a veth end). */
  addDevice(device: FakeDevice): void {
    this.#addLink({
      index: this.#nextIndex,
      name: device.name,
      kind: device.kind ?? "",
      up: false,
      running: false,
      mtuBytes: device.mtuBytes ?? 1500,
      mac: device.mac,
      lowerIndex: 0,
      vxlan: undefined,
    });
    if (device.up === true) this.setLink(device.name, { up: true });
  }

  createLink(link: LinkSpec): Verdict {
    if (link.name.length > LONGEST_NAME) return no("ERANGE", "numerical result out of range");
    if (this.links.has(link.name)) return no("EEXIST");
    if (link.kind === "tun") {
      this.addDevice({ name: link.name, kind: "tun", mac: undefined, mtuBytes: link.mtuBytes });
      return DONE;
    }
    if (link.kind === "ipip") return this.#createIpip(link);
    if (link.kind === "wireguard") return this.#createWireguard(link);
    const lower = this.links.get(link.lower);
    if (lower === undefined) return no("ENODEV");
    const port = link.port === 0 ? 8472 : link.port;
    const taken = [...this.links.values()].some(
      ({ vxlan }) =>
        vxlan?.vni === link.vni && vxlan.port === port && vxlan.local?.family === link.local.family,
    );
    if (taken) return no("EEXIST", "A VXLAN device with the specified VNI already exists.");
    this.#addLink({
      index: this.#nextIndex,
      name: link.name,
      kind: link.kind,
      up: false,
      running: false,
      mtuBytes: Math.min(link.mtuBytes, lower.mtuBytes - vxlanOverhead(link.local)),
      mac: link.mac,
      lowerIndex: 0,
      txChecksum: true,
      vxlan: {
        vni: link.vni,
        lowerIndex: lower.index,
        local: link.local,
        group: undefined,
        port,
        learning: link.learning,
        gbp: link.gbp,
        l2miss: false,
        l3miss: false,
      },
    });
    return DONE;
  }

  #createWireguard({ name, mtuBytes, publicKey, listenPort }: WireguardLink): Verdict {
    const index = this.#nextIndex;
    const wireguard = { publicKey, listenPort };
    this.#addLink({ index, name, kind: "wireguard", mtuBytes, ...NEW_TUNNEL, wireguard });
    return DONE;
  }

  /** The fake knows no curve: it takes the key pair that tests have. */
  #cryptoOf({ listenPort }: NonNullable<LinkChange["wireguard"]>): LinkState["wireguard"] & {} {
    return { publicKey: WIREGUARD_IDENTITY.publicKey, listenPort };
  }

  /** A subnet belongs to one peer: the last that claims it. No events, as in Linux. */
  changeWireguardPeer(op: "put" | "delete", spec: WireguardPeerSpec): Verdict {
    const { device } = spec;
    if (!this.links.has(device)) return no("ENODEV");
    if (op === "delete") {
      this.wireguardPeers.delete(wireguardPeerKey(spec));
      return DONE;
    }
    const taken = new Set(spec.allowed.map(formatCidr));
    for (const [key, peer] of this.wireguardPeers) {
      if (peer.device !== device) continue;
      const allowed = peer.allowed.filter((cidr) => !taken.has(formatCidr(cidr)));
      this.wireguardPeers.set(key, { ...peer, allowed });
    }
    this.wireguardPeers.set(wireguardPeerKey(spec), { ...spec, hasSession: false });
    return DONE;
  }

  /** The kernel keeps one tunnel of a local address without a remote. */
  #createIpip({ name, mtuBytes, local }: IpipLink): Verdict {
    const taken = [...this.links.values()].some(
      ({ ipip }) =>
        ipip?.local !== undefined && ipip.remote === undefined && sameIp(ipip.local, local),
    );
    if (taken) return no("EEXIST");
    const index = this.#nextIndex;
    const ipip = { local, remote: undefined };
    this.#addLink({ index, name, kind: "ipip", mtuBytes, ...NEW_TUNNEL, ipip });
    return DONE;
  }

  setLink(name: string, set: LinkChange): Verdict {
    const link = this.links.get(name);
    if (link === undefined) return no("ENODEV");
    if (set.mtuBytes !== undefined && set.mtuBytes > this.#greatestMtu(link)) return no("EINVAL");
    const changed: LinkState = {
      ...link,
      mtuBytes: set.mtuBytes ?? link.mtuBytes,
      mac: set.mac ?? link.mac,
      up: set.up ?? link.up,
      running: set.up ?? link.running,
      ...(set.wireguard === undefined ? {} : { wireguard: this.#cryptoOf(set.wireguard) }),
      ...(set.txChecksum === undefined ? {} : { txChecksum: set.txChecksum }),
    };
    this.links.set(name, changed);
    this.#emit({ kind: "link", removed: false, link: changed });
    if (changed.mac !== link.mac) this.#dropNeighbours(name);
    if (changed.up && !link.up) this.#cameUp(changed);
    if (!changed.up && link.up) this.#wentDown(name);
    return DONE;
  }

  /** The cable of a card: routes stay, the running flag goes. */
  setCarrier(name: string, carrier: boolean): void {
    const link = this.links.get(name);
    if (link === undefined || !link.up) return;
    const changed = { ...link, running: carrier };
    this.links.set(name, changed);
    this.#emit({ kind: "link", removed: false, link: changed });
  }

  deleteLink(name: string): Verdict {
    const link = this.links.get(name);
    if (link === undefined) return no("ENODEV");
    // A vxlan device goes with its lower device.
    for (const other of this.links.values()) {
      if (other.vxlan?.lowerIndex === link.index) this.deleteLink(other.name);
    }
    for (const [key, entry] of this.fdb) {
      if (entry.device !== name) continue;
      this.fdb.delete(key);
      this.#emit({ kind: "fdb", removed: true, entry });
    }
    if (link.up) this.setLink(name, { up: false });
    this.#dropNeighbours(name);
    for (const [key, address] of this.addresses) {
      if (address.device !== name) continue;
      this.addresses.delete(key);
      this.#emit({ kind: "address", removed: true, address });
    }
    for (const [key, peer] of this.wireguardPeers) {
      if (peer.device === name) this.wireguardPeers.delete(key);
    }
    this.links.delete(name);
    this.#emit({ kind: "link", removed: true, link: { ...link, up: false, running: false } });
    return DONE;
  }

  putAddress(spec: AddressSpec): Verdict {
    const link = this.links.get(spec.device);
    if (link === undefined) return no("ENODEV");
    const scope = isLinkLocal(spec.ip) ? "link" : "global";
    const { device, ip, prefix } = spec;
    const address: AddressState = {
      device,
      ip,
      prefix,
      scope,
      permanent: true,
      temporary: false,
      deprecated: false,
    };
    this.addresses.set(addressKey(spec), address);
    this.#emit({ kind: "address", removed: false, address });
    if (link.up) this.#addConnectedRoute(address);
    return DONE;
  }

  deleteAddress(spec: AddressSpec): Verdict {
    if (!this.links.has(spec.device)) return no("ENODEV");
    const address = this.addresses.get(addressKey(spec));
    if (address === undefined) return no("EADDRNOTAVAIL");
    this.addresses.delete(addressKey(spec));
    this.#emit({ kind: "address", removed: true, address });
    for (const [key, route] of this.routes) {
      if (sameConnected(route, address)) this.#dropRoute(key, route);
    }
    this.#afterLastIpv4Address(address);
    return DONE;
  }

  putNeighbour(spec: NeighbourSpec): Verdict {
    const { device, ip, mac } = spec;
    if (!this.links.has(device)) return no("ENODEV");
    const neighbour: NeighbourState = { device, ip, mac, permanent: true };
    const before = this.neighbours.get(neighbourKey(spec));
    this.neighbours.set(neighbourKey(spec), neighbour);
    if (before?.mac !== mac || !before.permanent) {
      this.#emit({ kind: "neighbour", removed: false, neighbour });
    }
    return DONE;
  }

  deleteNeighbour(spec: Pick<NeighbourSpec, "device" | "ip">): Verdict {
    if (!this.links.has(spec.device)) return no("ENODEV");
    if (!this.neighbours.delete(neighbourKey(spec))) return no("ENOENT");
    this.#emitNeighbourGone(spec);
    return DONE;
  }

  putFdb(spec: FdbSpec): Verdict {
    const { device, mac, remote } = spec;
    const link = this.links.get(device);
    if (link === undefined) return no("ENODEV");
    if (link.vxlan !== undefined && link.vxlan.local?.family !== remote.family) {
      return no("EAFNOSUPPORT");
    }
    const entry: FdbState = { device, mac, remote, permanent: true };
    const before = this.fdb.get(fdbKey(spec));
    this.fdb.set(fdbKey(spec), entry);
    if (before === undefined || !sameIp(before.remote, remote)) {
      this.#emit({ kind: "fdb", removed: false, entry });
    }
    return DONE;
  }

  deleteFdb(spec: FdbSpec): Verdict {
    if (!this.links.has(spec.device)) return no("ENODEV");
    const entry = this.fdb.get(fdbKey(spec));
    if (entry === undefined || !sameIp(entry.remote, spec.remote)) return no("ENOENT");
    this.fdb.delete(fdbKey(spec));
    this.#emit({ kind: "fdb", removed: true, entry });
    return DONE;
  }

  putRoute(spec: RouteSpec): Verdict {
    const path = this.#nextHop(spec);
    if ("errno" in path) return path;
    const { destination, gateway, onlink, scope, type, protocol } = spec;
    const metric = spec.metric ?? (destination.ip.family === 6 ? IPV6_METRIC : 0);
    const route: RouteState = {
      destination,
      gateway,
      device: path.device,
      onlink,
      scope,
      type,
      protocol,
      metric,
    };
    const before = this.routes.get(routeVersionKey(route));
    this.routes.set(routeVersionKey(route), route);
    const silent = destination.ip.family === 4 && before !== undefined && sameRoute(before, route);
    if (!silent) this.#emit({ kind: "route", removed: false, route });
    return DONE;
  }

  deleteRoute(spec: RouteSpec): Verdict {
    for (const [key, route] of this.routes) {
      if (!deletes(spec, route)) continue;
      this.#dropRoute(key, route);
      return DONE;
    }
    return no("ESRCH");
  }

  lookUp(destination: Ip): RouteLookup | undefined {
    for (const address of this.addresses.values()) {
      if (sameIp(address.ip, destination)) {
        return { device: "lo", gateway: undefined, source: destination };
      }
    }
    const [best] = [...this.routes.values()]
      .filter((route) => containsIp(route.destination, destination))
      .sort((a, b) => b.destination.prefix - a.destination.prefix || a.metric - b.metric);
    if (best?.device === undefined || best.type === "blackhole") return undefined;
    return {
      device: best.device,
      gateway: best.gateway,
      source: this.#sourceOn(best.device, destination),
    };
  }

  #addLink(link: LinkState): void {
    this.#nextIndex += 1;
    this.links.set(link.name, link);
    this.#emit({ kind: "link", removed: false, link });
  }

  #greatestMtu(link: LinkState): number {
    const lower = [...this.links.values()].find((l) => l.index === link.vxlan?.lowerIndex);
    const local = link.vxlan?.local;
    if (lower === undefined || local === undefined) return 65_536;
    return lower.mtuBytes - vxlanOverhead(local);
  }

  #cameUp(link: LinkState): void {
    for (const address of this.addresses.values()) {
      if (address.device === link.name) this.#addConnectedRoute(address);
    }
    if (link.name !== "lo" && link.mac !== undefined) {
      this.putAddress({ device: link.name, ip: linkLocal(link.mac), prefix: 64 });
    }
  }

  /** Neighbours and all of IPv6 go with events, IPv4 routes in silence, the FDB stays. */
  #wentDown(name: string): void {
    this.#dropIpv4Routes(name);
    for (const [key, route] of this.routes) {
      if (route.device === name) this.#dropRoute(key, route);
    }
    this.#dropNeighbours(name);
    for (const [key, address] of this.addresses) {
      if (address.device !== name || address.ip.family !== 6) continue;
      this.addresses.delete(key);
      this.#emit({ kind: "address", removed: true, address });
    }
  }

  /** IPv4 is off on a device without an address: its routes and neighbours go. */
  #afterLastIpv4Address(removed: AddressState): void {
    const left = [...this.addresses.values()].some(
      ({ device, ip }) => device === removed.device && ip.family === 4,
    );
    if (removed.ip.family !== 4 || left) return;
    this.#dropIpv4Routes(removed.device);
    for (const [key, neighbour] of this.neighbours) {
      if (neighbour.device !== removed.device || neighbour.ip.family !== 4) continue;
      this.neighbours.delete(key);
      this.#emitNeighbourGone(neighbour);
    }
  }

  #dropIpv4Routes(name: string): void {
    for (const [key, route] of this.routes) {
      if (route.device === name && route.destination.ip.family === 4) this.routes.delete(key);
    }
  }

  #dropRoute(key: string, route: RouteState): void {
    this.routes.delete(key);
    this.#emit({ kind: "route", removed: true, route });
  }

  #dropNeighbours(name: string): void {
    for (const [key, neighbour] of this.neighbours) {
      if (neighbour.device !== name) continue;
      this.neighbours.delete(key);
      this.#emitNeighbourGone(neighbour);
    }
  }

  #emitNeighbourGone({ device, ip }: Pick<NeighbourSpec, "device" | "ip">): void {
    this.#emit({ kind: "neighbour", removed: true, neighbour: { device, ip } });
  }

  /** IPv6 shows a host address in the main table too, IPv4 does not. */
  #addConnectedRoute(address: AddressState): void {
    const { ip, prefix, device } = address;
    if (ip.family === 4 && prefix === addressBits(4)) return;
    const route: RouteState = {
      destination: cidr(ip, prefix),
      gateway: undefined,
      device,
      onlink: false,
      scope: ip.family === 4 ? "link" : "global",
      type: "unicast",
      protocol: RTPROT_KERNEL,
      metric: ip.family === 4 ? 0 : IPV6_CONNECTED_METRIC,
    };
    const key = `${routeVersionKey(route)} ${device}`;
    if (this.routes.has(key)) return;
    this.routes.set(key, route);
    this.#emit({ kind: "route", removed: false, route });
  }

  #nextHop(spec: RouteSpec): Verdict | { readonly device: string | undefined } {
    if (spec.type === "blackhole") return { device: undefined };
    if (spec.device === undefined) {
      if (spec.onlink) return no("ENODEV", "Nexthop device required for onlink");
      const device = this.#connectedDevice(spec.gateway);
      return device === undefined ? unreachable(spec) : { device };
    }
    const link = this.links.get(spec.device);
    if (link === undefined) return no("ENODEV");
    if (!link.up) return no("ENETDOWN", "Nexthop device is not up");
    if (spec.gateway === undefined || spec.onlink) return { device: link.name };
    const reached = this.#connectedDevice(spec.gateway) === link.name;
    return reached ? { device: link.name } : unreachable(spec);
  }

  #connectedDevice(gateway: Ip | undefined): string | undefined {
    if (gateway === undefined) return undefined;
    for (const route of this.routes.values()) {
      const linked = route.gateway === undefined && route.type === "unicast";
      if (linked && containsIp(route.destination, gateway)) return route.device;
    }
    return undefined;
  }

  #sourceOn(device: string, destination: Ip): Ip | undefined {
    const own = [...this.addresses.values()].filter(
      ({ device: holder, ip }) => holder === device && ip.family === destination.family,
    );
    const near = own.find(({ ip, prefix }) => containsIp(cidr(ip, prefix), destination));
    return (near ?? own.find(({ scope }) => scope === "global") ?? own[0])?.ip;
  }
}

/** Outer headers and the inner Ethernet header: 50 bytes over IPv4, 70 over IPv6. */
function vxlanOverhead(local: Ip): number {
  return local.family === 4 ? 50 : 70;
}

function unreachable(spec: RouteSpec): Verdict {
  return spec.destination.ip.family === 4
    ? no("ENETUNREACH", "Nexthop has invalid gateway")
    : no("EHOSTUNREACH");
}

/** Two metrics make two routes. */
function routeVersionKey(route: { readonly destination: Cidr; readonly metric: number }): string {
  return `${formatCidr(route.destination)} ${route.metric}`;
}

function sameRoute(a: RouteState, b: RouteState): boolean {
  return (
    a.device === b.device &&
    a.protocol === b.protocol &&
    a.onlink === b.onlink &&
    a.scope === b.scope &&
    a.type === b.type &&
    sameGateway(a.gateway, b.gateway)
  );
}

function sameGateway(a: Ip | undefined, b: Ip | undefined): boolean {
  return a === undefined || b === undefined ? a === b : sameIp(a, b);
}

/** What a delete names must agree; what it leaves out matches anything. */
function deletes(spec: RouteSpec, route: RouteState): boolean {
  return (
    sameCidr(spec.destination, route.destination) &&
    spec.type === route.type &&
    spec.protocol === route.protocol &&
    (spec.metric === undefined || spec.metric === route.metric) &&
    (spec.device === undefined || spec.device === route.device) &&
    (spec.gateway === undefined || sameGateway(spec.gateway, route.gateway))
  );
}

function sameConnected(route: RouteState, address: AddressState): boolean {
  return (
    route.protocol === RTPROT_KERNEL &&
    route.device === address.device &&
    sameCidr(route.destination, cidr(address.ip, address.prefix))
  );
}

function isLinkLocal(ip: Ip): boolean {
  return ip.family === 6 && ip.value >> 118n === 0xfe80n >> 6n;
}

/** fe80:: plus the modified EUI-64 of the MAC (RFC 4291, appendix A). */
function linkLocal(mac: Mac): Ip {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = macToBytes(mac);
  const id = [a ^ 2, b, c, 0xff, 0xfe, d, e, f].reduce((sum, x) => (sum << 8n) | BigInt(x), 0n);
  return ip6((0xfe80n << 112n) | id);
}
