/**
 * Leases on behalf of the nodes connected to this replica: answers from the table what needs
 * no writing, passes the rest to who leads, keeps the etcd leases alive, and claims a lease anew
 * at once when it vanished under a live node.
 */
import { type BackoffPolicy, backoffMs } from "../../common/async/backoff.ts";
import type { Clock } from "../../common/async/clock.ts";
import { withDeadline } from "../../common/async/deadline.ts";
import { TaskGroup } from "../../common/async/task-group.ts";
import { TwillError } from "../../common/errors.ts";
import { NO_ETCD_LEASE, type Subnets } from "../../common/lease/lease.ts";
import { formatSubnetKey } from "../../common/lease/subnet-key.ts";
import type { Logger } from "../../common/log.ts";
import type { Store } from "../store/store.ts";
import type { ViewService } from "../view/view-service.ts";
import {
  type Allocator,
  type Refused,
  type Registered,
  type Released,
  refused,
  refusedBy,
} from "./allocator.ts";
import type { RegistrationRequest } from "./decide.ts";
import { LeaseKeeper } from "./lease-keeper.ts";
import { standingLease } from "./standing-lease.ts";

export interface RegistrarParts {
  readonly store: Pick<Store, "keepAlive">;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly log: Logger;
  readonly views: ViewService;
  /** Why etcd does not answer; undefined: it does. */
  readonly storeFault: () => TwillError | undefined;
  /** Whoever leads, this replica or another. */
  readonly allocator: Allocator;
  /** Of the leases given out; said to agents while etcd cannot be asked for the rest. */
  readonly ttlSeconds: number;
}

/** How an agent's stream hears what it did not ask for. */
export type AnswerListener = (answer: Registered | Refused) => void;

/** A transaction, a leader change in between (its TTL is 10 s), and a little. */
const ANSWER_DEADLINE_MS = 14_000;
/** About ten minutes of RECLAIM. */
const MAX_WITHDRAWALS = 25;
/** An operator who lets a node in again waits for it; few are drained at a time. */
const DRAINED_MS = 3000;
const RECLAIM: BackoffPolicy = { initialMs: 500, maxMs: 30_000, factor: 2, jitter: 0.3 };

export class Registrar {
  readonly #parts: RegistrarParts;
  readonly #keeper: LeaseKeeper;
  readonly #claims = new Map<string, NodeClaim>();
  readonly #tasks = new TaskGroup();

  constructor(parts: RegistrarParts) {
    this.#parts = parts;
    const { table } = parts.views.view;
    this.#keeper = new LeaseKeeper({
      ...parts,
      etcdLeaseOf: (node) => table.heldBy(node)?.etcdLease,
      onLost: (node) => this.#claims.get(node)?.reclaim(),
    });
  }

  /** The node is connected here; the claim it had on an earlier stream ends. */
  open(node: string, onAnswer: AnswerListener): NodeClaim {
    this.#claims.get(node)?.close();
    const claim: NodeClaim = new NodeClaim(node, {
      ...this.#parts,
      keeper: this.#keeper,
      tasks: this.#tasks,
      onAnswer,
      onClose: () => this.#forget(node, claim),
    });
    this.#claims.set(node, claim);
    this.#keeper.add(node);
    return claim;
  }

  /**
   * Gives back the lease of a node that may not come again, whoever leads meanwhile. In vain when
   * nobody can do it for minutes: the lease expires by itself then.
   */
  withdraw(node: string): void {
    const { allocator, clock, log, random } = this.#parts;
    this.#tasks.spawn(async (signal) => {
      for (let attempt = 0; attempt < MAX_WITHDRAWALS; attempt += 1) {
        const answer = await allocator.release(node, signal);
        if (answer.kind === "released") return;
        if (answer.retryAfterMs === 0) break;
        await clock.sleep(backoffMs(RECLAIM, attempt, random()), signal);
      }
      const message = `the lease of node ${node} was not withdrawn; it stays until it expires`;
      log.event("lease.unreleased", message, { key: node, node });
    });
  }

  /** Runs until the signal; only then may claims be worked on no more. */
  async run(signal: AbortSignal): Promise<void> {
    const stopFollowing = this.#parts.views.view.onChange(({ change }) => {
      for (const node of change.nodes) {
        this.#keeper.follow(node);
        this.#claims.get(node)?.leaseMayHaveChanged();
      }
    });
    const stop = (): void => {
      for (const claim of [...this.#claims.values()]) claim.close();
      this.#tasks.abort(signal.reason);
    };
    signal.addEventListener("abort", stop, { once: true });
    if (signal.aborted) stop();
    try {
      this.#tasks.spawn((inner) => this.#keeper.run(inner));
      await this.#tasks.join();
    } finally {
      stopFollowing();
      signal.removeEventListener("abort", stop);
    }
  }

  #forget(node: string, claim: NodeClaim): void {
    if (this.#claims.get(node) !== claim) return;
    this.#claims.delete(node);
    this.#keeper.remove(node);
  }
}

interface NodeClaimParts extends RegistrarParts {
  readonly keeper: LeaseKeeper;
  readonly tasks: TaskGroup;
  readonly onAnswer: AnswerListener;
  readonly onClose: () => void;
}

/** One connected node's claim to a lease, from its stream's beginning to its end. */
export class NodeClaim {
  readonly #node: string;
  readonly #parts: NodeClaimParts;
  readonly #closed = new AbortController();
  /** What the node holds by its last successful registration. */
  #granted: { readonly request: RegistrationRequest; readonly subnets: Subnets } | undefined;
  #isReclaiming = false;

  constructor(node: string, parts: NodeClaimParts) {
    this.#node = node;
    this.#parts = parts;
  }

  async register(request: RegistrationRequest, signal: AbortSignal): Promise<Registered | Refused> {
    this.#granted = undefined;
    const answer = (await this.#standing(request, signal)) ?? (await this.#ask(request, signal));
    this.#take(request, answer);
    return answer;
  }

  async release(signal: AbortSignal): Promise<Released | Refused> {
    this.#granted = undefined;
    return this.#within(signal, (inner) => this.#parts.allocator.release(this.#node, inner));
  }

  /** To be called when the table's record or lease of the node changed. */
  leaseMayHaveChanged(): void {
    const isHeld = this.#parts.views.view.table.heldBy(this.#node) !== undefined;
    if (!isHeld && this.#granted !== undefined) this.reclaim();
  }

  /** Claims what was granted anew, until it is there or the node asks for something itself. */
  reclaim(): void {
    if (this.#isReclaiming || this.#granted === undefined) return;
    this.#isReclaiming = true;
    const subnet = formatSubnetKey(this.#granted.subnets);
    const message = `the lease ${subnet} of node ${this.#node} ended under it; it is claimed anew`;
    this.#parts.log.event("lease.lost", message, { key: this.#node, node: this.#node, subnet });
    this.#parts.tasks.spawn(async () => {
      try {
        await this.#reclaim(this.#closed.signal);
      } catch (error) {
        if (!this.#closed.signal.aborted) throw error;
      } finally {
        this.#isReclaiming = false;
      }
    });
  }

  close(): void {
    this.#granted = undefined;
    this.#closed.abort(new TwillError("SHUTTING_DOWN", "the stream has ended"));
    this.#parts.onClose();
  }

  async #reclaim(signal: AbortSignal): Promise<void> {
    const { clock, random, onAnswer } = this.#parts;
    for (let attempt = 0; ; attempt += 1) {
      const granted = this.#granted;
      if (granted === undefined) return;
      const request = { ...granted.request, previous: granted.subnets };
      const answer = await this.#ask(request, signal);
      // The node has asked for something itself meanwhile.
      if (this.#granted !== granted) return;
      if (answer.kind === "registered" || answer.code === "SUBNET_TAKEN") {
        this.#take(request, answer);
        onAnswer(answer);
        return;
      }
      const isDrained = answer.code === "NODE_DRAINED";
      await clock.sleep(isDrained ? DRAINED_MS : backoffMs(RECLAIM, attempt, random()), signal);
    }
  }

  /** From the table, if nothing has to be written; undefined: the leader must decide. */
  async #standing(
    request: RegistrationRequest,
    signal: AbortSignal,
  ): Promise<Registered | undefined> {
    const { views, store, storeFault, ttlSeconds } = this.#parts;
    const { accepted } = views.view.config;
    if (accepted === undefined) return undefined;
    const held = standingLease(request, views.view.table, accepted.config);
    if (held === undefined) return undefined;
    const answer: Registered = { kind: "registered", lease: held.lease, ttlSeconds, reused: true };
    if (held.etcdLease === NO_ETCD_LEASE) return { ...answer, ttlSeconds: 0 };
    // While etcd is away leases do not expire either; the node must not wait for it.
    if (storeFault() !== undefined) return answer;
    try {
      const left = await store.keepAlive(held.etcdLease, signal);
      return left === undefined ? undefined : { ...answer, ttlSeconds: left };
    } catch (error) {
      signal.throwIfAborted();
      if (TwillError.from(error).code === "BUG") throw error;
      return answer;
    }
  }

  async #ask(request: RegistrationRequest, signal: AbortSignal): Promise<Registered | Refused> {
    return this.#within(signal, (inner) => this.#parts.allocator.register(request, inner));
  }

  async #within<T>(
    signal: AbortSignal,
    work: (signal: AbortSignal) => Promise<T | Refused>,
  ): Promise<T | Refused> {
    const { clock } = this.#parts;
    const late = (): TwillError =>
      new TwillError("STORE_TIMEOUT", `no answer for node ${this.#node} in time`);
    try {
      return await withDeadline({ clock, ms: ANSWER_DEADLINE_MS, late, signal }, work);
    } catch (error) {
      signal.throwIfAborted();
      const fault = TwillError.from(error);
      if (fault.code === "BUG") throw fault;
      return refusedBy(fault);
    }
  }

  #take(request: RegistrationRequest, answer: Registered | Refused): void {
    if (answer.kind === "refused" || this.#closed.signal.aborted) return;
    this.#granted = { request, subnets: answer.lease.subnets };
    this.#parts.keeper.kept(this.#node, answer.ttlSeconds);
  }
}

/** For a replica that knows of no leader. */
export const noLeader: Allocator = {
  register: async () => refused("NOT_LEADER", "no controller leads; a new leader is being elected"),
  release: async () => refused("NOT_LEADER", "no controller leads; a new leader is being elected"),
};
