/**
 * Whose is this kernel object? Ownership needs no memory: a process that has just started, or
 * that crashed between two system calls, knows its own again by what the kernel shows.
 *
 * Kind      | ours when
 * ----------|---------------------------------------------------------------------------
 * link      | it has a name and kind of ours, and holds an address inside our networks (or
 *           | is remembered from an earlier run, should it have no address)
 * address   | on a device of ours: IPv4 inside our networks, IPv6 anything but link-local
 * neighbour | on a device of ours, and permanent
 * fdb       | on a device of ours, and permanent
 * wireguard | peer of a device of ours
 * route     | inside our networks, and either through a device of ours with flannel's
 *           | protocol (boot) or with Twill's own (84) on any device
 * rule      | chain FLANNEL-POSTRTG, FLANNEL-FWD and their jumps; table flannel-ipv4, -ipv6
 *           | (agent/kernel/iptables-rules.ts, nft-ruleset.ts)
 *
 * "Inside our networks" is what keeps two networks of one host apart (contract 6, "multi"), and
 * what leaves an operator's route through our device alone when it leads elsewhere.
 */
import { type Cidr, containsCidr, containsIp } from "../../common/net/cidr.ts";
import type {
  AddressState,
  FdbState,
  LinkState,
  NeighbourState,
  RouteState,
  WireguardPeerState,
} from "../kernel/kernel.ts";
import { RTPROT_BOOT, RTPROT_TWILL } from "../plan/route-protocol.ts";

/** What is ours by name and by place. */
export interface Realm {
  /** Devices of ours, whether they exist or not. */
  readonly devices: ReadonlySet<string>;
  /** The overlay networks of now, and of before when they have just changed. */
  readonly networks: readonly Cidr[];
  /** Devices that earlier runs of this machine made, as far as they are remembered. */
  readonly pastDevices: ReadonlySet<string>;
}

/** Device names by kind (contract 3). The number is the VNI. */
const DEVICE_NAMES: Readonly<Record<string, RegExp>> = {
  vxlan: /^flannel(-v6)?\.[0-9]+$/,
  tun: /^flannel[0-9]+$/,
  ipip: /^flannel\.ipip$/,
  wireguard: /^flannel-wg(-v6)?$/,
};

/** A device of a kind and name that this program and flannel give, of whatever network. */
export function looksLikeOurs({ name, kind }: Pick<LinkState, "name" | "kind">): boolean {
  return DEVICE_NAMES[kind]?.test(name) === true;
}

/**
 * True for a device that this or an earlier run (or flannel) made for our networks. The
 * address decides: another network's flannel.2 on the same host is not ours.
 */
export function ownsLink(
  link: Pick<LinkState, "name" | "kind">,
  addresses: readonly AddressState[],
  realm: Realm,
): boolean {
  if (!looksLikeOurs(link)) return false;
  if (realm.pastDevices.has(link.name)) return true;
  return addresses.some((address) => address.device === link.name && isInside(realm, address.ip));
}

export function ownsAddress(address: AddressState, realm: Realm): boolean {
  if (!realm.devices.has(address.device)) return false;
  return address.ip.family === 4 ? isInside(realm, address.ip) : address.scope === "global";
}

/** Entries that the kernel learned (or resolved) by itself are not permanent. */
export function ownsNeighbour(neighbour: NeighbourState, realm: Realm): boolean {
  return realm.devices.has(neighbour.device) && neighbour.permanent;
}

export function ownsFdb(entry: FdbState, realm: Realm): boolean {
  return realm.devices.has(entry.device) && entry.permanent;
}

export function ownsWireguardPeer(peer: WireguardPeerState, realm: Realm): boolean {
  return realm.devices.has(peer.device);
}

export function ownsRoute(route: RouteState, realm: Realm): boolean {
  if (!realm.networks.some((network) => containsCidr(network, route.destination))) return false;
  if (route.protocol === RTPROT_TWILL) return true;
  const throughUs = route.device !== undefined && realm.devices.has(route.device);
  return throughUs && route.protocol === RTPROT_BOOT;
}

function isInside(realm: Realm, ip: AddressState["ip"]): boolean {
  return realm.networks.some((network) => containsIp(network, ip));
}
