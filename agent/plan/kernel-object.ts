/**
 * The kernel objects that are keyed one by one (everything but links), as one union, so that
 * planners, the reconciler and reports can speak of "an object" without a case per kind.
 */
import { formatCidr } from "../../common/net/cidr.ts";
import { formatIp, type Ip } from "../../common/net/ip.ts";
import {
  type AddressSpec,
  addressKey,
  type FdbSpec,
  fdbKey,
  type KernelState,
  type NeighbourSpec,
  neighbourKey,
  type RouteSpec,
  routeKey,
  unusualMetric,
  type WireguardPeerSpec,
  wireguardPeerKey,
} from "./kernel-state.ts";

export type ObjectKind = "address" | "neighbour" | "fdb" | "wireguard" | "route";

export type KernelObject =
  | { readonly kind: "address"; readonly object: AddressSpec }
  | { readonly kind: "neighbour"; readonly object: NeighbourSpec }
  | { readonly kind: "fdb"; readonly object: FdbSpec }
  | { readonly kind: "wireguard"; readonly object: WireguardPeerSpec }
  | { readonly kind: "route"; readonly object: RouteSpec };

/** Two objects with one id are two versions of one kernel object. */
export function objectId(item: KernelObject): string {
  return `${item.kind} ${objectKey(item)}`;
}

export function objectKey(item: KernelObject): string {
  switch (item.kind) {
    case "address":
      return addressKey(item.object);
    case "neighbour":
      return neighbourKey(item.object);
    case "fdb":
      return fdbKey(item.object);
    case "wireguard":
      return wireguardPeerKey(item.object);
    case "route":
      return routeKey(item.object);
  }
}

/** The object as the usual tools print it; equal specs have equal texts. */
export function formatObject(item: KernelObject): string {
  switch (item.kind) {
    case "address":
      return formatAddress(item.object);
    case "neighbour":
      return formatNeighbour(item.object);
    case "fdb":
      return formatFdb(item.object);
    case "wireguard":
      return formatWireguardPeer(item.object);
    case "route":
      return formatRoute(item.object);
  }
}

export function formatAddress(address: AddressSpec): string {
  return `${formatIp(address.ip)}/${address.prefix} dev ${address.device}`;
}

export function formatNeighbour(neighbour: NeighbourSpec): string {
  const { ip, device, mac } = neighbour;
  return `${formatIp(ip)} dev ${device} lladdr ${mac} PERMANENT`;
}

export function formatFdb(entry: FdbSpec): string {
  return `${entry.mac} dev ${entry.device} dst ${formatIp(entry.remote)} self permanent`;
}

/** As `wg show` has it; of the preshared key only its fingerprint. */
export function formatWireguardPeer(peer: WireguardPeerSpec): string {
  const { device, publicKey, presharedKey, endpoint, keepaliveSeconds, allowed } = peer;
  return [
    `${publicKey} dev ${device}`,
    `endpoint ${endpoint === undefined ? "none" : formatHostPort(endpoint)}`,
    `allowed ${allowed.map(formatCidr).sort().join(",")}`,
    presharedKey === undefined ? "" : `preshared-key ${String(presharedKey)}`,
    keepaliveSeconds === 0 ? "" : `persistent-keepalive ${keepaliveSeconds}`,
  ]
    .filter((word) => word !== "")
    .join(" ");
}

function formatHostPort({ ip, port }: { readonly ip: Ip; readonly port: number }): string {
  return ip.family === 4 ? `${formatIp(ip)}:${port}` : `[${formatIp(ip)}]:${port}`;
}

export function formatRoute(route: RouteSpec): string {
  const metric = unusualMetric(route);
  return [
    route.type === "blackhole" ? "blackhole" : "",
    formatCidr(route.destination),
    route.gateway === undefined ? "" : `via ${formatIp(route.gateway)}`,
    route.device === undefined ? "" : `dev ${route.device}`,
    `proto ${protocolName(route.protocol)}`,
    route.scope === "global" ? "" : `scope ${route.scope}`,
    metric === undefined ? "" : `metric ${metric}`,
    route.onlink ? "onlink" : "",
  ]
    .filter((word) => word !== "")
    .join(" ");
}

/** rtm_protocol by name where iproute2 has one. */
function protocolName(protocol: number): string {
  const names: Readonly<Record<number, string>> = { 2: "kernel", 3: "boot", 4: "static" };
  return names[protocol] ?? String(protocol);
}

export function objectsOf(state: KernelState): KernelObject[] {
  return [
    ...state.addresses.map((object) => ({ kind: "address" as const, object })),
    ...state.neighbours.map((object) => ({ kind: "neighbour" as const, object })),
    ...state.fdb.map((object) => ({ kind: "fdb" as const, object })),
    ...state.wireguardPeers.map((object) => ({ kind: "wireguard" as const, object })),
    ...state.routes.map((object) => ({ kind: "route" as const, object })),
  ];
}
