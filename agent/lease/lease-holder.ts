/**
 * Holding this node's lease: ask, hold, notice that it changed or was lost, ask again. Pure
 * but for its memory: the session tells it what happened and when, and asks what to send.
 *
 * State      | means                                    | leaves by
 * -----------|------------------------------------------|--------------------------------
 * idle       | no claim yet, or no stream               | claim and stream both there
 * due        | the claim is to be sent                  | sent
 * asked      | sent, not answered                       | answer; no answer in time: due
 * held       | answered with a lease on this stream     | other claim, loss, new stream: due
 * refused    | answered with a refusal                  | its delay, other claim, new stream: due
 *
 * The lease itself outlives all of them: what the data plane was built on stays until another
 * subnet is given, so losing controllers or the lease costs no packet.
 */
import type { ErrorCode } from "../../common/errors.ts";
import type { Lease } from "../../common/lease/lease.ts";
import type { TableChange } from "../peers/peer-table.ts";

/** What peers need of this node: the body of Register without its bookkeeping. */
export interface Claim {
  readonly publicIp: string;
  readonly publicIpv6: string;
  readonly backendType: string;
  readonly backendData: string;
  readonly backendV6Data: string;
}

export interface Asking extends Claim {
  readonly request: number;
  readonly previousSubnet: string;
}

export interface LeaseAnswer {
  readonly request: number;
  readonly lease: Lease;
}

export interface LeaseRefusal {
  readonly request: number;
  readonly code: string;
  /** 0: only after a change. */
  readonly retryAfterMs: number;
}

/** What an answer made of the lease. */
export type LeaseNews = "acquired" | "confirmed" | "renumbered" | "stale";

/** An answer takes a transaction in etcd; a leader change in between takes up to its TTL. */
export const ANSWER_TIMEOUT_MS = 15_000;
/** Bounds on what a controller may ask for: neither a busy loop nor for ever. */
const RETRY_MS = { min: 500, max: 600_000 } as const;

const SUBNET_TAKEN: ErrorCode = "SUBNET_TAKEN";

type State =
  | { readonly kind: "idle" }
  | { readonly kind: "due"; readonly notBeforeMs: number }
  | { readonly kind: "asked"; readonly untilMs: number }
  | { readonly kind: "held" }
  | { readonly kind: "refused" };

export interface LeaseHolderOptions {
  readonly node: string;
  /** Subnet key of an earlier run, or empty. */
  readonly previousSubnet: string;
  /** What to do when somebody else has our subnet: take another, or keep asking for it. */
  readonly onSubnetTaken: "renumber" | "hold";
}

export class LeaseHolder {
  readonly #options: LeaseHolderOptions;
  #state: State = { kind: "idle" };
  #hasStream = false;
  #isGivenUp = false;
  #claim: Claim | undefined;
  #lease: Lease | undefined;
  /** Subnet key to ask for; empty once it is given up. */
  #previousSubnet: string;
  #request = 0;

  constructor(options: LeaseHolderOptions) {
    this.#options = options;
    this.#previousSubnet = options.previousSubnet;
  }

  /** The lease that the data plane stands on; undefined before the first. */
  get lease(): Lease | undefined {
    return this.#lease;
  }

  /** True when a controller has confirmed lease and claim on the present stream. */
  get isHeld(): boolean {
    return this.#state.kind === "held";
  }

  /** Starts from the cached table: the lease of the earlier run, to be asked for again. */
  restore(lease: Lease): void {
    this.#lease ??= lease;
    this.#previousSubnet = this.#lease.key;
  }

  /** A stream was welcomed. */
  streamOpened(nowMs: number): void {
    this.#hasStream = true;
    this.#ask(nowMs);
  }

  streamClosed(): void {
    this.#hasStream = false;
    this.#state = { kind: "idle" };
  }

  /** What is to be held from now on; asks again only when it differs. */
  claim(claim: Claim, nowMs: number): void {
    if (this.#claim !== undefined && sameClaim(this.#claim, claim)) return;
    this.#claim = claim;
    this.#ask(nowMs);
  }

  /** The same claim, judged anew. */
  claimAgain(nowMs: number): void {
    this.#ask(nowMs);
  }

  /** The lease is being given back: nothing is asked for any more. */
  giveUp(): void {
    this.#isGivenUp = true;
    this.#state = { kind: "idle" };
  }

  /** Our own lease vanished from the table, or somebody else holds its key: true when so. */
  tableChanged(change: TableChange, nowMs: number): boolean {
    const key = this.#lease?.key;
    if (key === undefined || this.#state.kind !== "held") return false;
    const taken = change.upserts.some(
      (lease) => lease.key === key && lease.node !== this.#options.node,
    );
    if (!taken && !change.removes.includes(key)) return false;
    this.#ask(nowMs);
    return true;
  }

  registered(answer: LeaseAnswer): LeaseNews {
    // An earlier request's answer says nothing of the present claim.
    if (answer.request !== this.#request || !this.#hasStream) return "stale";
    const before = this.#lease;
    this.#lease = answer.lease;
    this.#previousSubnet = answer.lease.key;
    // A claim that changed meanwhile is still to be sent.
    if (this.#state.kind !== "due") this.#state = { kind: "held" };
    if (before === undefined) return "acquired";
    return before.key === answer.lease.key ? "confirmed" : "renumbered";
  }

  /** False when it answers an earlier request and means nothing. */
  refused(refusal: LeaseRefusal, nowMs: number): boolean {
    if (refusal.request !== this.#request || !this.#hasStream) return false;
    if (this.#state.kind === "due") return true;
    const renumbers = refusal.code === SUBNET_TAKEN && this.#options.onSubnetTaken === "renumber";
    if (renumbers) this.#previousSubnet = "";
    const { min, max } = RETRY_MS;
    const delayMs = renumbers ? min : Math.min(Math.max(refusal.retryAfterMs, min), max);
    this.#state =
      refusal.retryAfterMs === 0 && !renumbers
        ? { kind: "refused" }
        : { kind: "due", notBeforeMs: nowMs + delayMs };
    return true;
  }

  /** What to send now; it counts as sent. */
  take(nowMs: number): Asking | undefined {
    if (this.#claim === undefined || this.dueAtMs() > nowMs) return undefined;
    this.#request += 1;
    this.#state = { kind: "asked", untilMs: nowMs + ANSWER_TIMEOUT_MS };
    return { request: this.#request, previousSubnet: this.#previousSubnet, ...this.#claim };
  }

  /** When `take` will have something; Infinity: only after something happened. */
  dueAtMs(): number {
    switch (this.#state.kind) {
      case "due":
        return this.#state.notBeforeMs;
      case "asked":
        return this.#state.untilMs;
      case "idle":
      case "held":
      case "refused":
        return Number.POSITIVE_INFINITY;
    }
  }

  #ask(nowMs: number): void {
    if (!this.#hasStream || this.#claim === undefined || this.#isGivenUp) return;
    this.#state = { kind: "due", notBeforeMs: nowMs };
  }
}

function sameClaim(a: Claim, b: Claim): boolean {
  return (
    a.publicIp === b.publicIp &&
    a.publicIpv6 === b.publicIpv6 &&
    a.backendType === b.backendType &&
    a.backendData === b.backendData &&
    a.backendV6Data === b.backendV6Data
  );
}
