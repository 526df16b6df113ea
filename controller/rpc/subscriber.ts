/**
 * What the hub knows of one agent's stream: its place in the chain, what else it has yet to
 * hear, and what it has acknowledged. Decides which message is next; there is no queue, only
 * what is still true when the turn comes. Pure but for its memory; times are arguments.
 */
import type { Revision } from "../../common/lease/lease.ts";
import { formatDigest } from "../../common/lease/lease-digest.ts";
import type { Ack, Failure, NetworkConfig, Report } from "../../proto/gen/twill/v1/fabric.ts";
import type { CrumbChain } from "../view/crumb-chain.ts";
import { type Place, placeAt } from "../view/feed.ts";
import { encodeMessage, type Frame, type Snapshot } from "../view/stream-frames.ts";
import type { Outlet } from "./outlet.ts";

export interface SubscriberOptions {
  readonly node: string;
  readonly version: string;
  /** Hello's process; empty: not said. */
  readonly process: string;
  /** What its Hello says that it can do. */
  readonly features: ReadonlySet<string>;
  /** Of the peer: address and port. */
  readonly address: string;
  readonly outlet: Outlet;
  /** undefined: it gets a snapshot. */
  readonly place: Place | undefined;
  /** The config that Welcome carried. */
  readonly configRevision: Revision;
  /** And the step of a transition with it; "" or absent: none. */
  readonly configMark?: string;
  readonly nowMs: number;
}

/** What an agent may be told next, as the hub has it for all of them, always as it is now. */
export interface HubState {
  readonly chain: CrumbChain;
  readonly leader: string;
  readonly config: NetworkConfig | undefined;
  readonly snapshot: () => Snapshot;
  /** The next delta from a place, undefined when there is none or it must be a snapshot. */
  readonly delta: (place: Place) => PlacedFrame | "snapshot" | undefined;
}

export interface PlacedFrame {
  readonly frame: Frame;
  readonly place: Place;
}

export type MessageKind = "answer" | "config" | "snapshot" | "delta" | "bookmark";

export interface NextMessage {
  readonly kind: MessageKind;
  readonly frame: Frame;
  /** More of the same follows at once, without waiting for the next flush. */
  readonly isUrgent: boolean;
}

/** Answers that may wait at once; an agent that asks more without reading breaks the protocol. */
export const MAX_ANSWERS = 16;

export class Subscriber {
  readonly node: string;
  readonly version: string;
  readonly process: string;
  readonly features: ReadonlySet<string>;
  readonly address: string;
  readonly outlet: Outlet;
  readonly sinceMs: number;
  /** When the outstanding write began; undefined: none. */
  busySinceMs: number | undefined;
  /** When the agent was last heard of. */
  heardMs: number;
  /** When it is next told that nothing changed; moved on by everything that tells it its revision. */
  bookmarkDueMs: number;
  #place: Place | undefined;
  #snapshot: { readonly snapshot: Snapshot; index: number } | undefined;
  readonly #answers: Frame[] = [];
  /** Revision and transition of the config it was told. */
  #config: string;
  #applied: Ack | undefined;
  #report: Report = { drift: [], state: "", reason: "" };
  #driftRepaired = 0;
  #resentMs = Number.NEGATIVE_INFINITY;

  constructor(options: SubscriberOptions) {
    this.node = options.node;
    this.version = options.version;
    this.process = options.process;
    this.features = options.features;
    this.address = options.address;
    this.outlet = options.outlet;
    this.sinceMs = options.nowMs;
    this.heardMs = options.nowMs;
    this.#place = options.place;
    this.#config = configName(options.configRevision, options.configMark ?? "");
    // An agent that is in sync by its Hello is told so at once.
    this.bookmarkDueMs = options.nowMs;
  }

  /** The newest revision that was written to it whole. */
  get sentRevision(): Revision {
    return this.#snapshot === undefined ? (this.#place?.revision ?? 0) : 0;
  }

  /** The newest acknowledgement; undefined: none yet. */
  get applied(): Ack | undefined {
    return this.#applied;
  }

  get failures(): readonly Failure[] {
    return this.#applied?.failures ?? [];
  }

  get report(): Pick<Report, "state" | "reason"> {
    return this.#report;
  }

  get driftRepaired(): number {
    return this.#driftRepaired;
  }

  /** True when there is something to say before the next bookmark. */
  isBehind(state: HubState): boolean {
    return (
      this.#answers.length > 0 ||
      this.#snapshot !== undefined ||
      this.#place?.sequence !== state.chain.head.sequence ||
      (state.config !== undefined && nameOf(state.config) !== this.#config)
    );
  }

  /** False when too many wait already. */
  answer(frame: Frame): boolean {
    if (this.#answers.length >= MAX_ANSWERS) return false;
    this.#answers.push(frame);
    return true;
  }

  /** What it holds cannot be trusted any more, or means nothing: a snapshot follows. */
  forgetPlace(): void {
    this.#place = undefined;
    this.#snapshot = undefined;
  }

  acknowledge(ack: Ack): void {
    this.#applied = ack;
  }

  /** True when the chain says that the table it has applied is not what it should be. */
  hasDiverged(ack: Ack, instance: string, chain: CrumbChain): boolean {
    if (ack.instance !== instance || ack.failures.length > 0) return false;
    return chain.atRevision(ack.revision) !== undefined && !chain.knew(ack.revision, ack.digest);
  }

  /** Allows sending everything anew, but not again and again. */
  mayResend(nowMs: number, intervalMs: number): boolean {
    if (nowMs - this.#resentMs < intervalMs) return false;
    this.#resentMs = nowMs;
    return true;
  }

  reported(report: Report): void {
    this.#report = report;
    this.#driftRepaired += report.drift.length;
  }

  /** Takes the next message; it counts as sent. undefined: nothing to say now. */
  next(state: HubState, nowMs: number, bookmarkMs: number): NextMessage | undefined {
    const answer = this.#answers.shift();
    if (answer !== undefined) return { kind: "answer", frame: answer, isUrgent: true };
    const { config } = state;
    if (config !== undefined && nameOf(config) !== this.#config) {
      this.#config = nameOf(config);
      const frame = encodeMessage({ $case: "config", value: config });
      return { kind: "config", frame, isUrgent: true };
    }
    const table = this.#snapshotPart() ?? this.#delta(state);
    if (table !== undefined) {
      this.bookmarkDueMs = nowMs + bookmarkMs;
      return table;
    }
    return this.#bookmark(state, nowMs, bookmarkMs);
  }

  #delta(state: HubState): NextMessage | undefined {
    const next = this.#place === undefined ? "snapshot" : state.delta(this.#place);
    if (next === undefined) return undefined;
    if (next === "snapshot") {
      this.#snapshot = { snapshot: state.snapshot(), index: 0 };
      return this.#snapshotPart();
    }
    this.#place = next.place;
    return { kind: "delta", frame: next.frame, isUrgent: false };
  }

  /** Parts go one after the other, each when the one before has been flushed. */
  #snapshotPart(): NextMessage | undefined {
    const sending = this.#snapshot;
    if (sending === undefined) return undefined;
    const { frames, sequence, revision } = sending.snapshot;
    const frame = frames[sending.index];
    sending.index += 1;
    if (sending.index >= frames.length) {
      this.#snapshot = undefined;
      this.#place = { sequence, revision };
    }
    if (frame === undefined) return undefined;
    return { kind: "snapshot", frame, isUrgent: true };
  }

  /** Only said by one who is at the head, so there is something to compare. */
  #bookmark(state: HubState, nowMs: number, bookmarkMs: number): NextMessage | undefined {
    if (nowMs < this.bookmarkDueMs || this.#place === undefined) return undefined;
    this.bookmarkDueMs = nowMs + bookmarkMs;
    const { head } = state.chain;
    this.#place = placeAt(head, this.#place.revision);
    const digest = formatDigest(head.digest);
    const value = { revision: this.#place.revision, digest, leader: state.leader };
    const frame = encodeMessage({ $case: "bookmark", value });
    return { kind: "bookmark", frame, isUrgent: false };
  }
}

function nameOf({ revision, transition }: NetworkConfig): string {
  return configName(revision, transition?.mark ?? "");
}

function configName(revision: Revision, mark: string): string {
  return `${revision} ${mark}`;
}
