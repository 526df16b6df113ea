/**
 * The seam that every backend fits: one pure planner from the host and the leases to kernel
 * objects. What a backend needs and how a peer is reached is all it says; identity of peers,
 * conflicts between them, order of writes, ownership and repair are everybody's and live
 * elsewhere (plan-book.ts, agent/reconcile/).
 *
 * A planner is made anew when the config, the host or the identity changes. It is given a
 * lease at a time, so that one changed lease costs one lease's work.
 */
import type { BackendType } from "../../common/config/backend-config.ts";
import type { NetworkConfig } from "../../common/config/network-config.ts";
import type { Lease } from "../../common/lease/lease.ts";
import type { Family, Ip } from "../../common/net/ip.ts";
import type { Mac } from "../../common/net/mac.ts";
import type { WireguardKey } from "../../common/net/wireguard-key.ts";
import type { Secret } from "../../common/text/secret.ts";
import type { CommandWords, Variables } from "../extension/command-words.ts";
import type { TunnelPeer } from "../tunnel/peer-table.ts";
import type { HostFacts } from "./host-facts.ts";
import type { KernelObject } from "./kernel-object.ts";
import type { LinkSpec } from "./kernel-state.ts";

/** What this node is to its peers; kept on disk, so that it outlives device and reboot. */
export interface NodeIdentity {
  readonly vtepMac: Mac;
  /** The device of the other family has its own (contract 1.2). */
  readonly vtepMacV6: Mac;
  /** Only for backend udp: its TUN device, which is another where a host has two such networks. */
  readonly udpDevice?: string;
  /** Only for backend wireguard: both devices share the key (contract 3.5). */
  readonly wireguard?: WireguardIdentity | { readonly problem: string };
}

export interface WireguardIdentity {
  readonly privateKey: Secret;
  readonly publicKey: WireguardKey;
}

export interface PlannerInput {
  readonly config: NetworkConfig;
  readonly host: HostFacts;
  readonly identity: NodeIdentity;
}

/** What the backend writes into this node's lease (contract 1.2). */
export interface Registration {
  /** Empty for udp and alloc. */
  readonly backendType: string;
  /** Compact JSON text, empty: none. */
  readonly backendData: string;
  readonly backendV6Data: string;
}

/** One family of one lease, as this backend sees it. */
export type PeerPart =
  | {
      readonly kind: "usable";
      readonly family: Family;
      /**
       * Things that only one peer can have ("mac 7e:…", "subnet 10.5.1.0/24"): they cover the
       * keys of all `objects`. Of several claimants only the one with the lowest lease key is
       * programmed, and all are reported.
       */
      readonly claims: readonly string[];
      readonly objects: readonly KernelObject[];
      /** What the packet loop of the udp backend must know of it. */
      readonly tunnelPeer?: TunnelPeer;
      /** What the operator's commands of the extension backend are to be run with. */
      readonly extensionPeer?: ExtensionPeer;
    }
  | { readonly kind: "invalid"; readonly family: Family; readonly reason: string };

/** The data path that runs in the agent itself (agent/tunnel), for the udp backend. */
export interface TunnelSpec {
  readonly deviceName: string;
  /** Address and port that datagrams are sent from and taken at. */
  readonly bind: Ip;
  readonly port: number;
}

/** One run of an operator's command: no shell, these variables, this standard input. */
export interface ExtensionCall {
  readonly argv: CommandWords;
  readonly environment: Variables;
  readonly stdin: string;
}

/** Commands that concern this node; undefined: there is none. */
export interface ExtensionSpec {
  /** Its output stands in the lease, so it is run before there is one. */
  readonly preStartup: ExtensionCall | undefined;
  postStartup(own: Lease): ExtensionCall | undefined;
}

export interface ExtensionPeer {
  /** Lease key. */
  readonly key: string;
  readonly add: ExtensionCall | undefined;
  readonly remove: ExtensionCall | undefined;
}

export interface BackendPlanner {
  readonly type: BackendType;
  /** Devices that must work before a lease is asked for. */
  readonly links: readonly LinkSpec[];
  /** Present when packets need a process: the tunnel is opened once the own lease is known. */
  readonly tunnel?: TunnelSpec;
  /** Present when the operator's commands do the work (agent/extension). */
  readonly extension?: ExtensionSpec;
  /** What containers may send in one packet: FLANNEL_MTU. */
  readonly mtuBytes: number;
  readonly registration: Registration;
  /** Objects that the own lease asks for, whoever the peers are. */
  own(lease: Lease): readonly KernelObject[];
  /** What `lease` asks of this node; empty for our own lease and for other backends'. */
  peer(lease: Lease, own: Lease): readonly PeerPart[];
}

export type MadePlanner =
  | { readonly kind: "planner"; readonly planner: BackendPlanner }
  /** This host cannot run the backend; the reason names the fact and the way out. */
  | { readonly kind: "refused"; readonly reason: string };
