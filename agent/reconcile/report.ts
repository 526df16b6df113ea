/** What one pass reached, in bounded size: for the ack, for operators, for metrics. */
import type { ObjectKind } from "../plan/kernel-object.ts";
import type { PlanStamp } from "./board.ts";

/**
 * Everything that Twill makes in a kernel: keyed objects, devices, packet-filter rules, packet
 * loops; and the operator's commands of the extension backend, for this node and for a peer.
 */
export type ReportedKind = ObjectKind | "link" | "rule" | "tunnel" | "own-command" | "peer-command";

/** An object that the kernel does not have as it should, and why. */
export interface ObjectFailure {
  readonly kind: ReportedKind;
  readonly key: string;
  /** errno name ("ENETUNREACH"), or a code of common/errors.ts for devices. */
  readonly code: string;
  readonly message: string;
}

/** Something of ours that was changed by somebody else and is right again. */
export interface DriftRepair {
  readonly kind: ReportedKind;
  readonly key: string;
  readonly expected: string;
  readonly found: string;
  /** From the notice to the repair. */
  readonly repairedMs: number;
}

export interface KindCounts {
  readonly desired: number;
  readonly missing: number;
  readonly put: number;
  readonly deleted: number;
}

export interface PassReport {
  /** What the kernel now equals, except for `failures`. */
  readonly stamp: PlanStamp;
  /** Every device of the plan exists, is up, and is as planned (or will be made so in sync). */
  readonly devicesWork: boolean;
  /** The first MAX_FAILURES of `failureCount`. */
  readonly failures: readonly ObjectFailure[];
  readonly failureCount: number;
  /** The first MAX_DRIFT of `driftCount`. */
  readonly drift: readonly DriftRepair[];
  readonly driftCount: number;
  readonly counts: Readonly<Record<ObjectKind, KindCounts>>;
  /** From the oldest change that was waiting to the end of the pass; 0: none was. */
  readonly applyMs: number;
}

/** An ack is one message of the stream: some kilobytes, not megabytes. */
export const MAX_FAILURES = 100;
/** One report for each of a thousand hand-made edits, and an end to it. */
export const MAX_DRIFT = 1_000;
