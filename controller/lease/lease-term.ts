/**
 * One term of leadership: decides against the ledger, writes one fenced transaction, and decides
 * again when the store had changed. Decisions are made one after the other, transactions run
 * side by side and together (write-batch.ts), so the rate is the store's. One thing at a time per node.
 */
import type { Clock } from "../../common/async/clock.ts";
import { Lanes } from "../../common/async/lanes.ts";
import { Slots } from "../../common/async/slots.ts";
import { TwillError } from "../../common/errors.ts";
import { type EtcdLeaseId, NO_ETCD_LEASE, type Revision } from "../../common/lease/lease.ts";
import { errorFields, type Logger } from "../../common/log.ts";
import { JournalPen } from "../journal/journal-pen.ts";
import type { Leadership, Store } from "../store/store.ts";
import type { ViewService } from "../view/view-service.ts";
import { type Refused, type Registered, type Released, refused, refusedBy } from "./allocator.ts";
import { decide, type LeasePolicy, type RegistrationRequest } from "./decide.ts";
import { FencedWriter, type WriteOutcome } from "./fenced-writer.ts";
import { journalled } from "./journalled.ts";
import type { HeldLease } from "./lease-book.ts";
import { Ledger } from "./ledger.ts";
import {
  needsEtcdLease,
  planRegistration,
  planRelease,
  type WritingDecision,
} from "./transaction.ts";

export interface LeaseTermParts {
  readonly store: Store;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly log: Logger;
  readonly views: ViewService;
  /** Of the leases that are given out. */
  readonly ttlSeconds: number;
  readonly policy?: LeasePolicy;
}

/** How often a decision is made anew because the store was changed by others. */
const MAX_ATTEMPTS = 5;
/**
 * Registrations under way at once: two batches on their way and one being granted its etcd leases.
 * With more, calls to an etcd that has little CPU run into their deadlines (160: measured at load 13).
 */
const MAX_IN_FLIGHT = 96;

/** The etcd lease that was granted for a registration and not used yet. */
interface Grant {
  id: EtcdLeaseId | undefined;
}

export class LeaseTerm {
  readonly #parts: LeaseTermParts;
  readonly #leadership: Leadership;
  readonly #ledger: Ledger;
  readonly #writer: FencedWriter;
  readonly #pen: JournalPen;
  readonly #lanes = new Lanes();
  readonly #slots = new Slots(MAX_IN_FLIGHT);
  readonly #running = new Set<Promise<unknown>>();
  readonly #stopFollowing: () => void;
  #refreshing: Promise<void> | undefined;

  /** The view must be at least as new as the leadership. */
  constructor(parts: LeaseTermParts, leadership: Leadership) {
    const { view } = parts.views;
    this.#parts = parts;
    this.#leadership = leadership;
    const ledger = new Ledger(view.table, view.config.accepted?.config);
    this.#ledger = ledger;
    this.#pen = new JournalPen(leadership, "l");
    this.#writer = new FencedWriter({ ...parts, ledger, leadership });
    this.#stopFollowing = view.onChange(({ change, config }) => {
      ledger.observe(change);
      if (config.kind === "accepted") ledger.setConfig(config.accepted.config);
    });
  }

  register(request: RegistrationRequest): Promise<Registered | Refused> {
    const { node } = request;
    return this.#run(node, async () => {
      const grant: Grant = { id: undefined };
      try {
        return await this.#register(request, grant);
      } finally {
        if (grant.id !== undefined) await this.#revoke(grant.id);
      }
    });
  }

  release(node: string): Promise<Released | Refused> {
    return this.#run(node, () => this.#release(node));
  }

  /** Resolves when nothing of this term goes on; to be called when leadership has ended. */
  async end(): Promise<void> {
    this.#stopFollowing();
    await Promise.allSettled(this.#running);
  }

  async #run<T>(node: string, work: () => Promise<T | Refused>): Promise<T | Refused> {
    const running = this.#lanes.run(node, () => this.#slots.run(() => this.#answer(node, work)));
    this.#running.add(running);
    try {
      return await running;
    } finally {
      this.#running.delete(running);
    }
  }

  /** Faults of the store become refusals; only bugs are thrown. */
  async #answer<T>(node: string, work: () => Promise<T | Refused>): Promise<T | Refused> {
    try {
      if (this.#leadership.signal.aborted) return this.#deposed();
      return await work();
    } catch (error) {
      if (this.#leadership.signal.aborted) return this.#deposed();
      const fault = TwillError.from(error);
      if (fault.code === "BUG") throw fault;
      this.#parts.log.event("lease.refused", `node ${node} must wait: ${fault.message}`, {
        key: `${node} ${fault.code}`,
        node,
        ...errorFields(fault),
      });
      return refusedBy(fault);
    }
  }

  async #register(request: RegistrationRequest, grant: Grant): Promise<Registered | Refused> {
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
      const outcome = await this.#attempt(request, grant);
      if (outcome !== "again") return outcome;
      await this.#refresh();
    }
    return refused(
      "STORE_TIMEOUT",
      `node ${request.node} got no lease: the store changed ${MAX_ATTEMPTS} times in between`,
    );
  }

  async #attempt(
    request: RegistrationRequest,
    grant: Grant,
  ): Promise<Registered | Refused | "again"> {
    const { node } = request;
    const { policy } = this.#parts;
    const { accepted, fault } = this.#parts.views.view.config;
    if (accepted === undefined) {
      return refused("CONFIG_MISSING", `node ${node} waits for a config: ${fault}`);
    }
    let decision = decide(request, this.#ledger, accepted.config, policy);
    if (isWriting(decision) && needsEtcdLease(decision) && grant.id === undefined) {
      const { store, ttlSeconds } = this.#parts;
      grant.id = await store.grantLease(ttlSeconds, this.#leadership.signal);
      // Others have been served meanwhile.
      decision = decide(request, this.#ledger, accepted.config, policy);
    }
    switch (decision.kind) {
      case "refuse":
        return this.#refuse(node, refused(decision.code, decision.message));
      case "reuse":
        return this.#reuse(decision.held);
      default:
        return this.#write(node, decision, grant);
    }
  }

  async #reuse(held: HeldLease): Promise<Registered | "again"> {
    const ttlSeconds = await this.#keepAlive(held.etcdLease);
    // Gone, and the table does not know it yet.
    if (ttlSeconds === undefined) return "again";
    return { kind: "registered", lease: held.lease, ttlSeconds, reused: true };
  }

  async #write(
    node: string,
    decision: WritingDecision,
    grant: Grant,
  ): Promise<Registered | Refused | "again"> {
    const granted = needsEtcdLease(decision) ? grant.id : undefined;
    const at = this.#now();
    const registration = { node, decision, stored: this.#ledger.record(node), now: at };
    const plan = planRegistration(registration, this.#leadership, granted ?? NO_ETCD_LEASE);
    const planned = journalled(plan, this.#pen, { kind: decision.kind, at });
    const outcome = await this.#writer.write(node, planned, granted);
    if (outcome.kind === "undone") grant.id = undefined;
    if (outcome.kind === "fenced") return this.#deposed();
    const { put } = planned.write;
    if (outcome.kind !== "committed" || put === undefined) return "again";
    if (granted !== undefined) grant.id = undefined;
    this.#logWritten(put.lease.node, decision, outcome.revision, put.lease.key);
    return {
      kind: "registered",
      lease: put.lease,
      ttlSeconds: await this.#ttlAfter(put.etcdLease, granted),
      reused: decision.kind !== "allocate" || decision.hinted,
    };
  }

  async #release(node: string): Promise<Released | Refused> {
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
      const held = this.#ledger.held(node);
      const stored = this.#ledger.record(node);
      if (held === undefined || stored === undefined) {
        return refused("LEASE_LOST", `node ${node} holds no lease that could be released`);
      }
      const at = this.#now();
      const plan = planRelease(held, stored, this.#leadership, at);
      const planned = journalled(plan, this.#pen, { kind: "release", at });
      const outcome = await this.#writer.write(node, planned, undefined);
      if (outcome.kind === "fenced") return this.#deposed();
      if (outcome.kind === "committed") return this.#released(held, outcome);
      await this.#refresh();
    }
    return refused("STORE_TIMEOUT", `the lease of node ${node} changed while it was released`);
  }

  async #released(
    held: HeldLease,
    { revision }: WriteOutcome & { readonly kind: "committed" },
  ): Promise<Released> {
    const { node, key } = held.lease;
    const isReservation = held.etcdLease === NO_ETCD_LEASE;
    if (!isReservation) await this.#revoke(held.etcdLease);
    const what = isReservation ? "no longer holds its reservation" : "gave its lease back";
    this.#parts.log.event("lease.released", `node ${node} ${what}: ${key}`, {
      node,
      subnet: key,
      revision,
    });
    return { kind: "released", key };
  }

  /** One listing for all that wait for one. */
  async #refresh(): Promise<void> {
    const { views } = this.#parts;
    this.#refreshing ??= views.refresh(this.#leadership.signal).then(() => undefined);
    try {
      await this.#refreshing;
    } finally {
      this.#refreshing = undefined;
    }
  }

  async #ttlAfter(etcdLease: EtcdLeaseId, granted: EtcdLeaseId | undefined): Promise<number> {
    if (granted !== undefined) return this.#parts.ttlSeconds;
    return (await this.#keepAlive(etcdLease)) ?? 0;
  }

  async #keepAlive(etcdLease: EtcdLeaseId): Promise<number | undefined> {
    if (etcdLease === NO_ETCD_LEASE) return 0;
    return this.#parts.store.keepAlive(etcdLease, this.#leadership.signal);
  }

  /** Best effort: an etcd lease without keys ends by itself. */
  async #revoke(id: EtcdLeaseId): Promise<void> {
    try {
      await this.#parts.store.revokeLease(id, this.#leadership.signal);
    } catch (error) {
      if (TwillError.from(error).code === "BUG" && !this.#leadership.signal.aborted) throw error;
    }
  }

  #refuse(node: string, refusal: Refused): Refused {
    const { code, message } = refusal;
    this.#parts.log.event("lease.refused", message, { key: `${node} ${code}`, node, code });
    return refusal;
  }

  #deposed(): Refused {
    return refused("NOT_LEADER", "this replica has just lost the leadership");
  }

  #logWritten(node: string, decision: WritingDecision, revision: Revision, subnet: string): void {
    const isNew = needsEtcdLease(decision) || decision.kind === "claim";
    const fields = { node, subnet, revision, decision: decision.kind };
    if (isNew) this.#parts.log.event("lease.acquired", `node ${node} has ${subnet}`, fields);
    else this.#parts.log.event("lease.updated", `node ${node} changed its lease ${subnet}`, fields);
  }

  #now(): string {
    return new Date(this.#parts.clock.wallMs()).toISOString();
  }
}

function isWriting(decision: { readonly kind: string }): decision is WritingDecision {
  return decision.kind !== "reuse" && decision.kind !== "refuse";
}
