/**
 * The port to the Linux kernel: the only path by which the agent reads or changes links,
 * addresses, neighbours, FDB entries and routes. netlink-kernel.ts is the real one,
 * test/support/fake-kernel.ts a small kernel in memory; both pass test/contract/kernel.
 */
import type { Family, Ip } from "../../common/net/ip.ts";
import type { Mac } from "../../common/net/mac.ts";
import type { WireguardKey } from "../../common/net/wireguard-key.ts";
import type {
  AddressSpec,
  FdbSpec,
  LinkSpec,
  NeighbourSpec,
  RouteSpec,
  WireguardLink,
  WireguardPeerSpec,
} from "../plan/kernel-state.ts";

/** A link as the kernel reports it. */
export interface LinkState {
  readonly index: number;
  readonly name: string;
  /** IFLA_INFO_KIND: "vxlan", "ipip", "veth" …; empty for plain hardware. */
  readonly kind: string;
  readonly up: boolean;
  /** Lower layer has carrier. */
  readonly running: boolean;
  readonly mtuBytes: number;
  readonly mac: Mac | undefined;
  /** IFLA_LINK of a stacked device, 0: none. */
  readonly lowerIndex: number;
  /** Present for kind "vxlan". */
  readonly vxlan: VxlanInfo | undefined;
  /** Present for kind "ipip". */
  readonly ipip?: IpipInfo;
  /** Present for kind "wireguard"; not in events. */
  readonly wireguard?: WireguardInfo;
  /** tx-checksum-ip-generic of a vxlan, ipip or wireguard device; not in events. */
  readonly txChecksum?: boolean;
}

export interface VxlanInfo {
  readonly vni: number;
  readonly lowerIndex: number;
  readonly local: Ip | undefined;
  readonly group: Ip | undefined;
  readonly port: number;
  readonly learning: boolean;
  readonly gbp: boolean;
  readonly l2miss: boolean;
  readonly l3miss: boolean;
}

export interface IpipInfo {
  readonly local: Ip | undefined;
  readonly remote: Ip | undefined;
}

export interface WireguardInfo {
  /** undefined: the device has no key yet. */
  readonly publicKey: WireguardKey | undefined;
  readonly listenPort: number;
}

export interface AddressState extends AddressSpec {
  readonly scope: "global" | "link" | "host" | "other";
  readonly permanent: boolean;
  readonly temporary: boolean;
  readonly deprecated: boolean;
}

export interface NeighbourState extends NeighbourSpec {
  readonly permanent: boolean;
}

export interface FdbState extends FdbSpec {
  readonly permanent: boolean;
}

export interface WireguardPeerState extends WireguardPeerSpec {
  /**
   * The peer proved its identity a moment ago, from `endpoint`: wherever that is (behind NAT it
   * is not what its lease says), it is right.
   */
  readonly hasSession: boolean;
}

/** A route of the main table. One with several next hops has neither gateway nor device. */
export interface RouteState extends RouteSpec {
  /** Priority; 0 for IPv4 without one, 1024 is IPv6's default. */
  readonly metric: number;
}

/** Result of a route look-up (`ip route get`). */
export interface RouteLookup {
  readonly device: string;
  readonly gateway: Ip | undefined;
  readonly source: Ip | undefined;
  /** The destination is an address of this host. */
  readonly isLocal?: true;
  /** A limit of the route's own, or one that path discovery has learnt. */
  readonly mtuBytes?: number;
}

/** What can be changed on a live device. */
export interface LinkChange {
  readonly up?: boolean;
  readonly mtuBytes?: number;
  readonly mac?: Mac;
  /** Key and port of a WireGuard device; its peers and their sessions stay. */
  readonly wireguard?: Pick<WireguardLink, "privateKey" | "listenPort">;
  readonly txChecksum?: boolean;
}

export type KernelChange =
  | { readonly op: "put" | "delete"; readonly kind: "address"; readonly object: AddressSpec }
  | { readonly op: "put" | "delete"; readonly kind: "neighbour"; readonly object: NeighbourSpec }
  | { readonly op: "put" | "delete"; readonly kind: "fdb"; readonly object: FdbSpec }
  | {
      readonly op: "put" | "delete";
      readonly kind: "wireguard";
      readonly object: WireguardPeerSpec;
    }
  | { readonly op: "put" | "delete"; readonly kind: "route"; readonly object: RouteSpec };

/**
 * Why one change did not happen. Deleting what is not there is no failure, and neither is
 * deleting from a device that is gone: its objects went with it.
 */
export interface ChangeFailure {
  readonly change: KernelChange;
  /** errno name: "ENODEV", "EEXIST", "ENETUNREACH" … */
  readonly errno: string;
  /** The kernel's own sentence (extended ack), when it gave one. */
  readonly message: string;
}

/**
 * What a netlink event says; decoded only as far as telling drift from an echo needs. One's
 * own changes come back as events too. Four habits of Linux must be known (measured, and the
 * fake has them too):
 *  - a device that goes down or is deleted takes its IPv4 routes with it without an event for
 *    them, so a link event without `up` or with `removed` means "read that device again";
 *  - so does a device that loses its last IPv4 address: see the address event;
 *  - a device that changes its MAC loses all its neighbours (with events);
 *  - a put that changes nothing makes no event (IPv6 routes excepted).
 */
export type KernelEvent =
  | { readonly kind: "link"; readonly removed: boolean; readonly link: LinkState }
  | { readonly kind: "address"; readonly removed: boolean; readonly address: AddressState }
  | { readonly kind: "neighbour"; readonly removed: false; readonly neighbour: NeighbourState }
  /** The MAC is not said: Linux forgets it before it tells of the removal. */
  | {
      readonly kind: "neighbour";
      readonly removed: true;
      readonly neighbour: Pick<NeighbourSpec, "device" | "ip">;
    }
  | { readonly kind: "fdb"; readonly removed: boolean; readonly entry: FdbState }
  | { readonly kind: "route"; readonly removed: boolean; readonly route: RouteState }
  /** Events were lost (ENOBUFS) or could not be read: everything must be read again. */
  | { readonly kind: "gap" };

/**
 * Every method rejects with the signal's reason when aborted before it was sent, and with a
 * TwillError KERNEL_REFUSED when the kernel cannot be asked or a dump never came out whole.
 */
export interface Kernel {
  /** All links of this network namespace. */
  listLinks(signal: AbortSignal): Promise<readonly LinkState[]>;
  listAddresses(signal: AbortSignal): Promise<readonly AddressState[]>;
  /** Neighbours with a MAC on the named device. */
  listNeighbours(device: string, signal: AbortSignal): Promise<readonly NeighbourState[]>;
  /** FDB entries that carry a remote address on the named device. */
  listFdb(device: string, signal: AbortSignal): Promise<readonly FdbState[]>;
  /** Peers of the named WireGuard device; none when it is not there. Linux has no events for them. */
  listWireguardPeers(device: string, signal: AbortSignal): Promise<readonly WireguardPeerState[]>;
  /** Unicast and blackhole routes of the main table, both families. */
  listRoutes(signal: AbortSignal): Promise<readonly RouteState[]>;
  /** What the kernel would do with a packet to `destination`; undefined: unreachable. */
  lookUpRoute(destination: Ip, signal: AbortSignal): Promise<RouteLookup | undefined>;
  /**
   * Interface of the default route with the lowest metric (contract 5); undefined when there
   * is none or when it has several next hops.
   */
  defaultRouteDevice(family: Family, signal: AbortSignal): Promise<string | undefined>;

  /**
   * Creates the device, down. TwillError KERNEL_UNSUPPORTED when the kernel lacks the link
   * type (names the module), KERNEL_REFUSED otherwise.
   */
  createLink(link: LinkSpec, signal: AbortSignal): Promise<void>;
  /** Changes what can be changed on a live device; KERNEL_REFUSED when it cannot be. */
  setLink(name: string, set: LinkChange, signal: AbortSignal): Promise<void>;
  /** No error when it is not there. */
  deleteLink(name: string, signal: AbortSignal): Promise<void>;

  /**
   * Makes the changes in order, in packed batches; goes on after a failure and returns all
   * failures. "put" creates or replaces.
   */
  apply(changes: readonly KernelChange[], signal: AbortSignal): Promise<readonly ChangeFailure[]>;

  /**
   * Calls `listener` for every event from now on; returns when subscribed. Events come in the
   * kernel's order, later than the call that caused them. The listener must not throw.
   */
  watch(listener: (event: KernelEvent) => void): Disposable;
}
