/**
 * What a controller tells the console's page, as JSON: the cluster as it stands, then what
 * changes. Both sides import these types, so neither can drift from the other.
 */

/** A replica that campaigns; the leader is the first of them. */
export interface ConsoleController {
  readonly name: string;
  /** "host:port" of its gRPC server. */
  readonly address: string;
  /** Origin of its console ("https://host:port"); "": it serves none. */
  readonly console: string;
  /** "": it answers (or nobody has asked yet, see `isAsked`); else why not. */
  readonly fault: string;
  /** True for this replica and for those whose nodes are known here. */
  readonly isAsked: boolean;
}

export interface ConsoleRange {
  readonly network: string;
  readonly subnetLen: number;
  readonly subnetMin: string;
  readonly subnetMax: string;
}

export interface ConsoleWarning {
  readonly code: string;
  readonly message: string;
}

/** All that is not a list of nodes, leases or events. */
export interface ConsoleHead {
  readonly instance: string;
  readonly version: string;
  /** Address of the replica that says all this. */
  readonly controller: string;
  /** Address of the leader; "": nobody leads. */
  readonly leader: string;
  readonly controllers: readonly ConsoleController[];
  /** Of the newest change of the lease table. */
  readonly revision: number;
  readonly digest: string;
  /** "": etcd answers; else why the table may be old. */
  readonly storeFault: string;
  readonly backend: string;
  readonly configRevision: number;
  readonly ranges: readonly ConsoleRange[];
  /** How long a lease outlives its node's last contact. */
  readonly leaseTtlSeconds: number;
  readonly warnings: readonly ConsoleWarning[];
}

export interface ConsoleFailure {
  readonly kind: string;
  readonly key: string;
  readonly code: string;
  readonly message: string;
}

/** A node whose stream some replica holds. */
export interface ConsoleNode {
  readonly node: string;
  readonly version: string;
  /** Of its end of the stream. */
  readonly address: string;
  /** Address of the replica that holds the stream. */
  readonly controller: string;
  readonly sent: number;
  readonly applied: number;
  /** The first of them; `failureCount` has them all. */
  readonly failures: readonly ConsoleFailure[];
  readonly failureCount: number;
  readonly state: string;
  readonly reason: string;
  readonly driftRepaired: number;
  /** Wall clock, milliseconds. */
  readonly sinceMs: number;
}

export interface ConsoleLease {
  /** As below subnets/ in etcd: "10.244.1.0-24". */
  readonly key: string;
  /** "10.244.1.0/24", IPv6 after a space. */
  readonly subnet: string;
  /** "": a real flannel node's, or a reservation. */
  readonly node: string;
  readonly publicIp: string;
  readonly publicIpv6: string;
  readonly backendType: string;
  readonly backendData: string;
  /** No etcd lease: it stays until somebody deletes it. */
  readonly isReserved: boolean;
  readonly revision: number;
}

export type ConsoleTone = "plain" | "good" | "warn" | "bad";

export interface ConsoleEvent {
  /** Counts up; never used twice by one process. */
  readonly id: number;
  readonly atMs: number;
  /** As in docs/console.md. */
  readonly kind: string;
  readonly tone: ConsoleTone;
  /** Node or lease it is about; "": the cluster. */
  readonly subject: string;
  readonly text: string;
}

export interface ConsoleSnapshot {
  readonly sequence: number;
  readonly atMs: number;
  readonly head: ConsoleHead;
  readonly nodes: readonly ConsoleNode[];
  readonly leases: readonly ConsoleLease[];
  readonly events: readonly ConsoleEvent[];
}

/** From the state at `sequence - 1` to that at `sequence`. */
export interface ConsoleDelta {
  readonly sequence: number;
  readonly atMs: number;
  readonly head?: ConsoleHead | undefined;
  readonly nodes?: readonly ConsoleNode[] | undefined;
  readonly nodesGone?: readonly string[] | undefined;
  readonly leases?: readonly ConsoleLease[] | undefined;
  /** Keys. */
  readonly leasesGone?: readonly string[] | undefined;
  readonly events?: readonly ConsoleEvent[] | undefined;
}

/** When a lease ends if nobody renews it; `seconds` null: it is gone, or never ends. */
export interface ConsoleEnd {
  readonly key: string;
  readonly seconds: number | null;
}
