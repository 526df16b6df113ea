/**
 * What "equal" means for each kind of kernel object, and what else the delta tracker must know
 * of a kind: its key, whose it is, and whether the kernel can tell two versions apart.
 */
import { sameCidr } from "../../common/net/cidr.ts";
import { type Ip, sameIp } from "../../common/net/ip.ts";
import type {
  AddressState,
  FdbState,
  NeighbourState,
  RouteState,
  WireguardPeerState,
} from "../kernel/kernel.ts";
import {
  formatAddress,
  formatFdb,
  formatNeighbour,
  formatRoute,
  formatWireguardPeer,
} from "../plan/kernel-object.ts";
import {
  type AddressSpec,
  addressKey,
  type FdbSpec,
  fdbKey,
  type NeighbourSpec,
  neighbourKey,
  type RouteSpec,
  routeKey,
  type WireguardPeerSpec,
  wireguardPeerKey,
} from "../plan/kernel-state.ts";
import { RTPROT_BOOT, RTPROT_KERNEL } from "../plan/route-protocol.ts";
import {
  ownsAddress,
  ownsFdb,
  ownsNeighbour,
  ownsRoute,
  ownsWireguardPeer,
  type Realm,
} from "./ownership.ts";

export interface KindRules<Spec, State extends Spec> {
  key(spec: Spec): string;
  /** True when the kernel's object does what the desired one would. */
  equal(desired: Spec, actual: State): boolean;
  /**
   * For an object whose plan has changed and was not written since: a latitude that `equal`
   * gives the kernel must not keep it from hearing of the change. Left out: `equal`.
   */
  equalToNewPlan?(desired: Spec, actual: State): boolean;
  owns(actual: State, realm: Realm): boolean;
  /** True for what must never be replaced, although it stands where ours should. */
  isKernels(actual: State): boolean;
  /**
   * True when deleting `actual` cannot hit `desired`: the kernel keeps both under one key, and
   * a delete names more than the key. Otherwise a put replaces, and no delete may follow.
   */
  coexist(desired: Spec, actual: Spec): boolean;
  format(spec: Spec): string;
  /** How the kernel's object reads; unlike `format` it shows what makes it unequal. */
  formatActual(actual: State): string;
}

export const ADDRESS_RULES: KindRules<AddressSpec, AddressState> = {
  key: addressKey,
  // The key is the whole address.
  equal: () => true,
  owns: ownsAddress,
  isKernels: () => false,
  coexist: () => false,
  format: formatAddress,
  formatActual: formatAddress,
};

export const NEIGHBOUR_RULES: KindRules<NeighbourSpec, NeighbourState> = {
  key: neighbourKey,
  equal: (desired, actual) => actual.permanent && desired.mac === actual.mac,
  owns: ownsNeighbour,
  isKernels: () => false,
  coexist: () => false,
  format: formatNeighbour,
  formatActual: (actual) =>
    actual.permanent ? formatNeighbour(actual) : formatNeighbour(actual).replace(" PERMANENT", ""),
};

export const FDB_RULES: KindRules<FdbSpec, FdbState> = {
  key: fdbKey,
  equal: (desired, actual) => actual.permanent && sameIp(desired.remote, actual.remote),
  owns: ownsFdb,
  isKernels: () => false,
  // One MAC may have several remotes (`bridge fdb append`); a delete names one.
  coexist: (desired, actual) => !sameIp(desired.remote, actual.remote),
  format: formatFdb,
  formatActual: (actual) =>
    actual.permanent ? formatFdb(actual) : formatFdb(actual).replace(" permanent", ""),
};

export const WIREGUARD_RULES: KindRules<WireguardPeerSpec, WireguardPeerState> = {
  key: wireguardPeerKey,
  equal: equalWireguardPeer,
  // A session may live for ever at the endpoint of an old address or Mode.
  equalToNewPlan: (desired, actual) => formatWireguardPeer(desired) === formatWireguardPeer(actual),
  owns: ownsWireguardPeer,
  isKernels: () => false,
  coexist: () => false,
  format: formatWireguardPeer,
  formatActual: formatWireguardPeer,
};

/** A peer that just proved itself from another endpoint is there (NAT, or it moves). */
function equalWireguardPeer(desired: WireguardPeerSpec, actual: WireguardPeerState): boolean {
  const { endpoint } = actual.hasSession ? actual : desired;
  return formatWireguardPeer({ ...desired, endpoint }) === formatWireguardPeer(actual);
}

export const ROUTE_RULES: KindRules<RouteSpec, RouteState> = {
  key: routeKey,
  equal: equalRoute,
  owns: ownsRoute,
  // A connected route of a local interface: replacing it would cut off that interface.
  isKernels: (actual) => actual.protocol === RTPROT_KERNEL,
  // A delete names gateway, device, type and protocol (agent/kernel); all of them unequal or one.
  coexist: (desired, actual) => !equalPath(desired, actual) || desired.protocol !== actual.protocol,
  format: formatRoute,
  formatActual: formatRoute,
};

/**
 * A route that flannel left (protocol boot) and that is otherwise the one wanted is taken as
 * it is: replacing it would gain nothing.
 */
function equalRoute(desired: RouteSpec, actual: RouteState): boolean {
  const protocol = desired.protocol === actual.protocol || actual.protocol === RTPROT_BOOT;
  if (
    !protocol ||
    desired.type !== actual.type ||
    !sameCidr(desired.destination, actual.destination)
  )
    return false;
  // The kernel hangs IPv6 blackholes on "lo" and gives them a scope of its own.
  if (desired.type === "blackhole") return true;
  return (
    equalPath(desired, actual) && desired.onlink === actual.onlink && desired.scope === actual.scope
  );
}

/** A desired route without a device leaves the choice to the kernel. */
function equalPath(desired: RouteSpec, actual: RouteSpec): boolean {
  const device = desired.device === undefined || desired.device === actual.device;
  return device && desired.type === actual.type && equalGateway(desired.gateway, actual.gateway);
}

function equalGateway(a: Ip | undefined, b: Ip | undefined): boolean {
  return a === undefined || b === undefined ? a === b : sameIp(a, b);
}
