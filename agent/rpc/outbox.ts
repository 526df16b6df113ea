/**
 * What the agent still has to say, newest only: one slot per kind of message and no queue, so
 * a controller that reads slowly costs no memory. Decides what goes next and when. Pure but
 * for its memory; the session's writer sends what it hands out, one at a time.
 */
import type { Drift, Failure } from "../../proto/gen/twill/v1/fabric.ts";
import type { Answer } from "../../proto/gen/twill/v1/node.ts";
import type { TablePosition } from "../peers/peer-table.ts";
import type { AgentBody } from "./sync-stream.ts";

/** What the kernel equals now. */
export interface AppliedTable {
  readonly position: TablePosition;
  readonly failures: readonly Failure[];
  readonly applyMs: number;
}

export interface NodeReport {
  readonly state: string;
  readonly reason: string;
  readonly drift: readonly Drift[];
}

/**
 * An ack costs the controller as much as a delivery (fanout-notes 4b, 9). After a change it
 * goes at once; this only keeps a burst of passes from becoming a burst of acks.
 */
export const CHANGE_ACK_MS = 100;
/** When only the revision moved on (bookmarks). */
export const IDLE_ACK_MS = 1000;
export const REPORT_MS = 1000;
/** Repairs told one by one per report; whoever fights over more is told of once. */
export const MAX_DRIFT = 100;
/** Failures told one by one per ack. */
export const MAX_FAILURES = 100;
/** Answers to operators that may wait; a controller asks fewer at a time. */
export const MAX_ANSWERS = 8;
/** Share of the agreed interval after which a heartbeat goes, so that none is late. */
const HEARTBEAT_SHARE = 0.8;

export type NextMessage =
  | { readonly kind: "send"; readonly body: AgentBody }
  /** Nothing before this time, unless something is put in meanwhile. */
  | { readonly kind: "wait"; readonly untilMs: number };

export class Outbox {
  /** Of the present stream; empty while there is none. */
  #instance = "";
  #heartbeatMs = Number.POSITIVE_INFINITY;
  #heartbeatAtMs = Number.POSITIVE_INFINITY;
  #applied: AppliedTable | undefined;
  /** Where the table stands, which a bookmark moves on without a pass of the kernel. */
  #table: TablePosition | undefined;
  #acked: { readonly applied: AppliedTable; readonly atMs: number } | undefined;
  #state = { state: "starting", reason: "" };
  #isReportDue = false;
  #reportedAtMs = Number.NEGATIVE_INFINITY;
  #drift: Drift[] = [];
  #isReleaseDue = false;
  #answers: Answer[] = [];

  /** A stream was welcomed: everything that is known is said to it anew. */
  streamOpened(instance: string, heartbeatMs: number, nowMs: number): void {
    this.#instance = instance;
    this.#heartbeatMs = heartbeatMs * HEARTBEAT_SHARE;
    this.#heartbeatAtMs = nowMs + this.#heartbeatMs;
    this.#acked = undefined;
    this.#isReportDue = true;
    this.#reportedAtMs = Number.NEGATIVE_INFINITY;
  }

  applied(applied: AppliedTable): void {
    this.#applied = { ...applied, failures: applied.failures.slice(0, MAX_FAILURES) };
    this.#moveOn();
  }

  /** The table stands here now. When it is the same as what was applied, so is its revision. */
  tableAt(position: TablePosition): void {
    this.#table = position;
    this.#moveOn();
  }

  report(report: NodeReport): void {
    const { state, reason, drift } = report;
    const isNews = state !== this.#state.state || reason !== this.#state.reason;
    if (isNews || drift.length > 0) this.#isReportDue = true;
    this.#state = { state, reason };
    this.#drift = [...this.#drift, ...drift].slice(0, MAX_DRIFT);
  }

  /** Give the lease back; said once, on the present stream or the next. */
  release(): void {
    this.#isReleaseDue = true;
  }

  /** To a query of the present stream; on another its number would mean something else. */
  answer(answer: Answer): void {
    if (this.#instance !== "") this.#answers = [...this.#answers, answer].slice(-MAX_ANSWERS);
  }

  streamClosed(): void {
    this.#instance = "";
    this.#answers = [];
    this.#heartbeatAtMs = Number.POSITIVE_INFINITY;
  }

  next(nowMs: number): NextMessage {
    if (this.#instance === "") return { kind: "wait", untilMs: Number.POSITIVE_INFINITY };
    if (this.#isReleaseDue) return this.#sendRelease();
    const ackAtMs = this.#ackAtMs();
    if (ackAtMs <= nowMs && this.#applied !== undefined) return this.#sendAck(this.#applied, nowMs);
    const reportAtMs = this.#isReportDue
      ? this.#reportedAtMs + REPORT_MS
      : Number.POSITIVE_INFINITY;
    if (reportAtMs <= nowMs) return this.#sendReport(nowMs);
    const answer = this.#answers.shift();
    if (answer !== undefined) return { kind: "send", body: { $case: "answer", value: answer } };
    if (this.#heartbeatAtMs <= nowMs) return this.#sendHeartbeat(nowMs);
    return { kind: "wait", untilMs: Math.min(ackAtMs, reportAtMs, this.#heartbeatAtMs) };
  }

  /** Passes of the kernel know the revision of the last change; a bookmark may have named a later one. */
  #moveOn(): void {
    const [applied, table] = [this.#applied, this.#table];
    if (applied === undefined || table === undefined) return;
    const { instance, revision, digest } = applied.position;
    if (table.digest !== digest || table.instance !== instance) return;
    if (table.revision > revision) this.#applied = { ...applied, position: table };
  }

  /** A table of another instance is no answer to this stream. */
  #ackAtMs(): number {
    const applied = this.#applied;
    if (applied === undefined || applied.position.instance !== this.#instance) {
      return Number.POSITIVE_INFINITY;
    }
    if (this.#acked === undefined) return Number.NEGATIVE_INFINITY;
    if (!sameContent(applied, this.#acked.applied)) return this.#acked.atMs + CHANGE_ACK_MS;
    const isNewer = applied.position.revision !== this.#acked.applied.position.revision;
    return isNewer ? this.#acked.atMs + IDLE_ACK_MS : Number.POSITIVE_INFINITY;
  }

  #sendAck(applied: AppliedTable, nowMs: number): NextMessage {
    const isNew = this.#acked === undefined || !sameContent(applied, this.#acked.applied);
    this.#acked = { applied, atMs: nowMs };
    const { instance, revision, digest } = applied.position;
    const applyMs = isNew ? Math.round(applied.applyMs) : 0;
    const value = { instance, revision, digest, failures: [...applied.failures], applyMs };
    return { kind: "send", body: { $case: "ack", value } };
  }

  #sendReport(nowMs: number): NextMessage {
    const value = { ...this.#state, drift: this.#drift };
    this.#drift = [];
    this.#isReportDue = false;
    this.#reportedAtMs = nowMs;
    return { kind: "send", body: { $case: "report", value } };
  }

  #sendHeartbeat(nowMs: number): NextMessage {
    this.#heartbeatAtMs = nowMs + this.#heartbeatMs;
    return { kind: "send", body: { $case: "heartbeat", value: {} } };
  }

  #sendRelease(): NextMessage {
    this.#isReleaseDue = false;
    return { kind: "send", body: { $case: "release", value: { request: 0 } } };
  }
}

/** Equal but for the revision. */
function sameContent(a: AppliedTable, b: AppliedTable): boolean {
  return (
    a.position.digest === b.position.digest &&
    a.position.instance === b.position.instance &&
    a.failures.length === b.failures.length &&
    a.failures.every((failure, index) => sameFailure(failure, b.failures[index]))
  );
}

function sameFailure(a: Failure, b: Failure | undefined): boolean {
  return b !== undefined && a.kind === b.kind && a.key === b.key && a.code === b.code;
}
