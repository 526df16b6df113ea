/**
 * The port to the Linux kernel: the only path by which the agent reads or changes links,
 * addresses, neighbours, FDB entries and routes. netlink-kernel.ts is the real one,
 * test/support/fake-kernel.ts a small kernel in memory; both pass test/contract/kernel.
 */
import type { Family, Ip } from "../../common/net/ip.ts";
import type { Mac } from "../../common/net/mac.ts";
import type {
  AddressSpec,
  FdbSpec,
  LinkSpec,
  NeighbourSpec,
  RouteSpec,
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

/** A route of the main table. */
export interface RouteState extends RouteSpec {
  /** Priority; 0 for IPv4 without one, 1024 is IPv6's default. */
  readonly metric: number;
}

/** Result of a route look-up (`ip route get`). */
export interface RouteLookup {
  readonly device: string;
  readonly gateway: Ip | undefined;
  readonly source: Ip | undefined;
}

export type KernelChange =
  | { readonly op: "put" | "delete"; readonly kind: "address"; readonly object: AddressSpec }
  | { readonly op: "put" | "delete"; readonly kind: "neighbour"; readonly object: NeighbourSpec }
  | { readonly op: "put" | "delete"; readonly kind: "fdb"; readonly object: FdbSpec }
  | { readonly op: "put" | "delete"; readonly kind: "route"; readonly object: RouteSpec };

/** Why one change did not happen. Deleting what is not there is no failure. */
export interface ChangeFailure {
  readonly change: KernelChange;
  /** errno name: "ENODEV", "EEXIST", "ENETUNREACH" … */
  readonly errno: string;
  /** The kernel's own sentence (extended ack), when it gave one. */
  readonly message: string;
}

/** What a netlink event says; decoded only as far as telling drift from an echo needs. */
export type KernelEvent =
  | { readonly kind: "link"; readonly removed: boolean; readonly link: LinkState }
  | { readonly kind: "address"; readonly removed: boolean; readonly address: AddressState }
  | { readonly kind: "neighbour"; readonly removed: boolean; readonly neighbour: NeighbourState }
  | { readonly kind: "fdb"; readonly removed: boolean; readonly entry: FdbState }
  | { readonly kind: "route"; readonly removed: boolean; readonly route: RouteState }
  /** Events were lost (ENOBUFS): everything must be read again. */
  | { readonly kind: "gap" };

export interface Kernel {
  /** All links of this network namespace. */
  listLinks(signal: AbortSignal): Promise<readonly LinkState[]>;
  listAddresses(signal: AbortSignal): Promise<readonly AddressState[]>;
  /** Neighbours with a MAC on the named device. */
  listNeighbours(device: string, signal: AbortSignal): Promise<readonly NeighbourState[]>;
  /** FDB entries that carry a remote address on the named device. */
  listFdb(device: string, signal: AbortSignal): Promise<readonly FdbState[]>;
  /** Unicast and blackhole routes of the main table, both families. */
  listRoutes(signal: AbortSignal): Promise<readonly RouteState[]>;
  lookUpRoute(destination: Ip, signal: AbortSignal): Promise<RouteLookup | undefined>;
  /** Interface of the first default route in the kernel's dump (contract 5.2). */
  defaultRouteDevice(family: Family, signal: AbortSignal): Promise<string | undefined>;

  /**
   * Creates the device, down. TwillError KERNEL_UNSUPPORTED when the kernel lacks the link
   * type (names the module), KERNEL_REFUSED otherwise.
   */
  createLink(link: LinkSpec, signal: AbortSignal): Promise<void>;
  /** Changes what can be changed on a live device. */
  setLink(
    name: string,
    set: { readonly up?: boolean; readonly mtuBytes?: number; readonly mac?: Mac },
    signal: AbortSignal,
  ): Promise<void>;
  /** No error when it is not there. */
  deleteLink(name: string, signal: AbortSignal): Promise<void>;

  /**
   * Makes the changes in order, in packed batches; goes on after a failure and returns all
   * failures. "put" creates or replaces.
   */
  apply(changes: readonly KernelChange[], signal: AbortSignal): Promise<readonly ChangeFailure[]>;

  /** Calls `listener` for every event from now on; returns when subscribed. */
  watch(listener: (event: KernelEvent) => void): Disposable;
}
