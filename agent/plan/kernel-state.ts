/**
 * The kernel as the agent wants it, as plain data in the kernel's own terms. Planners
 * produce a KernelState from leases; the reconciler makes the kernel equal to it.
 *
 * Every object has a key: two objects with one key are two versions of one kernel object.
 */
import { type Cidr, formatCidr } from "../../common/net/cidr.ts";
import { type Family, formatIp, type Ip } from "../../common/net/ip.ts";
import type { Mac } from "../../common/net/mac.ts";
import type { WireguardKey } from "../../common/net/wireguard-key.ts";
import type { Secret } from "../../common/text/secret.ts";

/** A device of ours, by name; it is created, adopted or made anew as a whole. */
export type LinkSpec = VxlanLink | TunLink | IpipLink | WireguardLink;

/** What every tunnel of the kernel's own has. */
interface TunnelDevice {
  /** tx-checksum-ip-generic is to be off; else it is left as it is. */
  readonly txChecksumOff?: boolean;
}

export interface VxlanLink extends TunnelDevice {
  readonly kind: "vxlan";
  /** "flannel.<VNI>" or "flannel-v6.<VNI>". */
  readonly name: string;
  readonly mtuBytes: number;
  readonly mac: Mac;
  readonly vni: number;
  /** Lower device by name. */
  readonly lower: string;
  readonly local: Ip;
  /** UDP port; 0: the kernel's default (8472), and the attribute is left out. */
  readonly port: number;
  readonly learning: boolean;
  readonly gbp: boolean;
}

/**
 * The udp backend's device (contract 3.3). It is persistent, so whoever comes first makes it
 * and the others adopt it: the link driver, or agent/tunnel, which reads and writes its packets.
 */
export interface TunLink {
  readonly kind: "tun";
  readonly name: string;
  readonly mtuBytes: number;
}

/** The ipip backend's device (contract 3.4): it has no remote, each route names its own. */
export interface IpipLink extends TunnelDevice {
  readonly kind: "ipip";
  readonly name: string;
  readonly mtuBytes: number;
  readonly local: Ip;
}

/** The wireguard backend's device (contract 3.5). */
export interface WireguardLink extends TunnelDevice {
  readonly kind: "wireguard";
  readonly name: string;
  readonly mtuBytes: number;
  readonly listenPort: number;
  readonly privateKey: Secret;
  /** The private key's other half: what is compared and told. */
  readonly publicKey: WireguardKey;
}

/** A peer of a WireGuard device: who it is, where it is, and which subnets are its. */
export interface WireguardPeerSpec {
  readonly device: string;
  readonly publicKey: WireguardKey;
  readonly presharedKey: Secret | undefined;
  /** undefined: none is known (only read from a kernel, never planned). */
  readonly endpoint: { readonly ip: Ip; readonly port: number } | undefined;
  /** 0: off. */
  readonly keepaliveSeconds: number;
  readonly allowed: readonly Cidr[];
}

export interface AddressSpec {
  readonly device: string;
  readonly ip: Ip;
  readonly prefix: number;
}

/** Permanent neighbour (ARP or NDP) on one of our devices. */
export interface NeighbourSpec {
  readonly device: string;
  readonly ip: Ip;
  readonly mac: Mac;
}

/** Permanent VXLAN forwarding entry: inner MAC to outer address ("self"). */
export interface FdbSpec {
  readonly device: string;
  readonly mac: Mac;
  readonly remote: Ip;
}

export interface RouteSpec {
  readonly destination: Cidr;
  /** undefined: a link route. */
  readonly gateway: Ip | undefined;
  /** Device by name; undefined: the kernel finds it (DirectRouting, contract 3.1). */
  readonly device: string | undefined;
  readonly onlink: boolean;
  /** rtm_scope: "global" unless noted in contract 3. IPv6 has none and is always "global". */
  readonly scope: "global" | "link";
  /** Blackhole routes have neither gateway nor device. */
  readonly type: "unicast" | "blackhole";
  /**
   * Priority. Left out: put takes the kernel's default (none for IPv4, 1024 for IPv6), delete
   * takes any. Two metrics make two routes of one destination.
   */
  readonly metric?: number;
  /** rtm_protocol; see agent/reconcile/ownership.ts for which is whose. */
  readonly protocol: number;
}

export interface KernelState {
  readonly links: readonly LinkSpec[];
  readonly addresses: readonly AddressSpec[];
  readonly neighbours: readonly NeighbourSpec[];
  readonly fdb: readonly FdbSpec[];
  readonly routes: readonly RouteSpec[];
  readonly wireguardPeers: readonly WireguardPeerSpec[];
}

export const EMPTY_KERNEL_STATE: KernelState = {
  links: [],
  addresses: [],
  neighbours: [],
  fdb: [],
  routes: [],
  wireguardPeers: [],
};

export function addressKey(address: AddressSpec): string {
  return `${address.device} ${formatIp(address.ip)}/${address.prefix}`;
}

export function neighbourKey(neighbour: Pick<NeighbourSpec, "device" | "ip">): string {
  return `${neighbour.device} ${formatIp(neighbour.ip)}`;
}

export function fdbKey(entry: Pick<FdbSpec, "device" | "mac">): string {
  return `${entry.device} ${entry.mac}`;
}

export function wireguardPeerKey(peer: Pick<WireguardPeerSpec, "device" | "publicKey">): string {
  return `${peer.device} ${peer.publicKey}`;
}

/** Destination, and the metric where it is not the kernel's default: two metrics make two routes. */
export function routeKey(route: RouteName): string {
  const metric = unusualMetric(route);
  const suffix = metric === undefined ? "" : ` metric ${metric}`;
  return `${formatCidr(route.destination)}${suffix}`;
}

export interface RouteName {
  readonly destination: Cidr;
  readonly metric?: number | undefined;
}

/** The metric, unless it is what the kernel takes by itself: none for IPv4, 1024 for IPv6. */
export function unusualMetric({ destination, metric }: RouteName): number | undefined {
  const usual = destination.ip.family === 4 ? 0 : 1024;
  return metric === usual ? undefined : metric;
}

export function familyOf(object: { readonly ip: Ip }): Family {
  return object.ip.family;
}
