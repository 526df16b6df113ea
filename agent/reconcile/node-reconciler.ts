/**
 * The seam between what the node is told (session, lease, host) and what its kernel is made
 * to be. Receiving is cheap: every setter only stores and kicks; the kernel is touched by the
 * one loop in `run`, and what it reached comes back as reports.
 */
import type { NetworkConfig } from "../../common/config/network-config.ts";
import type { Lease } from "../../common/lease/lease.ts";
import type { PeerProblem } from "../peers/peer-problem.ts";
import type { TableChange, TablePosition } from "../peers/peer-table.ts";
import type { NodeIdentity, PlannerInput, Registration } from "../plan/backend-planner.ts";
import type { HostFacts } from "../plan/host-facts.ts";
import type { DriftRepair, ObjectFailure } from "./report.ts";

/** All that is planned from besides the peers. */
export interface NodeInput {
  readonly config: NetworkConfig;
  readonly host: HostFacts;
  readonly identity: NodeIdentity;
  /** undefined: only the devices are made, so that they are known to work before Register. */
  readonly own: Lease | undefined;
  /** While the backend is changed live: the other config, whose devices and peers stand as well. */
  readonly also?: Pick<PlannerInput, "config" | "identity"> | undefined;
  /** Told in the report of the pass that has it in the kernel. */
  readonly mark?: string;
}

/** What one pass of the loop reached. */
export interface ReconcileReport {
  /**
   * Table that the kernel now equals but for `failures`; undefined while there is no own
   * lease to plan peers with. What Ack says.
   */
  readonly applied: TablePosition | undefined;
  /** The table that was applied is confirmed by a controller, not only the cache. */
  readonly isInSync: boolean;
  /** `mark` of the input that the kernel equals. */
  readonly mark?: string;
  /** Every device of the plan exists, is up, and is as planned: Register may be sent. */
  readonly devicesWork: boolean;
  /** Masquerade and forward rules are written as the plan has them. */
  readonly rulesInPlace: boolean;
  /** undefined while nothing could be planned; `refusal` then says why. */
  readonly registration: Registration | undefined;
  /** What the kernel took, for subnet.env; undefined with `registration`. */
  readonly mtuBytes: number | undefined;
  /** This host cannot run the backend, or a device is not ours to touch. */
  readonly refusal: string | undefined;
  /** The first of them; bounded (report.ts). */
  readonly failures: readonly ObjectFailure[];
  readonly problems: readonly PeerProblem[];
  readonly repaired: readonly DriftRepair[];
  /** From the oldest change that was waiting to the end of the pass. */
  readonly applyMs: number;
}

export interface NodeReconciler {
  setNode(input: NodeInput): void;
  /** A change of the peer table, in the order it came. */
  setPeers(change: TableChange): void;
  /** Called after every pass that changed or failed something, or reached a newer position. */
  onReport(listener: (report: ReconcileReport) => void): void;
  /** Ends with the signal; the kernel stays as it is. */
  run(signal: AbortSignal): Promise<void>;
}
