/** What the console's page draws of the way between two nodes; see common/explain/. */

/** One step of a packet on its way, as the kernel it is in has it. */
export interface ConsoleHop {
  /** route, neighbour, fdb, tunnel, underlay, filter, arrives. */
  readonly kind: string;
  readonly text: string;
  readonly state: "there" | "missing" | "unknown";
}

export interface ConsoleProbe {
  readonly label: string;
  readonly sent: number;
  readonly received: number;
  readonly rttUs: number;
  readonly error: string;
}

/** From one node's own kernel towards the other. */
export interface ConsoleDirection {
  readonly from: string;
  readonly fromAddress: string;
  readonly to: string;
  readonly toAddress: string;
  /** Why the node could not be asked; "": it answered. */
  readonly silence: string;
  readonly hops: readonly ConsoleHop[];
  readonly probes: readonly ConsoleProbe[];
}

export interface ConsoleFinding {
  readonly code: string;
  readonly node: string;
  readonly says: string;
  readonly fix: string;
}

export interface ConsolePath {
  readonly works: boolean;
  /** The broken hop first. */
  readonly findings: readonly ConsoleFinding[];
  readonly directions: readonly ConsoleDirection[];
}
