/**
 * Standing for election, leading, and giving up in time. Written over the Store port alone.
 * One campaign at a time, ever: whatever ends one (its etcd lease, its key, its work, the
 * process), everything of it has ended before the next begins, so a campaign that was given
 * up cannot win later.
 */
import { type BackoffPolicy, backoffMs } from "../../common/async/backoff.ts";
import { withDeadline } from "../../common/async/deadline.ts";
import { TaskGroup } from "../../common/async/task-group.ts";
import { TwillError } from "../../common/errors.ts";
import type { EtcdLeaseId } from "../../common/lease/lease.ts";
import { errorFields, type Logger } from "../../common/log.ts";
import { type Candidate, type ElectionParts, electionKey, observeCandidates } from "./election.ts";
import { HeldLease } from "./held-lease.ts";
import type { Leadership, Transaction } from "./store.ts";

/**
 * A hung etcd member costs up to 8 s to leave, so a leader's TTL is longer; a dead leader is
 * replaced after at most this.
 */
export const LEADER_TTL_SECONDS = 10;

const BACKOFF: BackoffPolicy = { initialMs: 200, maxMs: 5_000, factor: 2, jitter: 0.3 };
/** A leadership that lasted so long was a success: back-off begins anew. */
const GOOD_AFTER_MS = 30_000;
/** How long giving the key back may hold up the end. */
const RESIGN_TIMEOUT_MS = 2_000;

export interface CampaignOptions extends ElectionParts {
  readonly log: Logger;
  /** What the key says: JSON text with this replica's identity and address. */
  readonly value: string;
  readonly ttlSeconds: number;
}

/**
 * What a leader does; ends when `leadership.signal` is aborted, and nothing of it goes on
 * afterwards. Ending earlier, or failing, gives the leadership back.
 */
export type Lead = (leadership: Leadership) => Promise<void>;

/** Campaigns and leads, again and again, until aborted; then the key is given back. */
export async function runElection(
  options: CampaignOptions,
  lead: Lead,
  signal: AbortSignal,
): Promise<void> {
  const { clock, random, log } = options;
  const leftovers = new Set<EtcdLeaseId>();
  for (let failures = 0; !signal.aborted; failures += 1) {
    const startedMs = clock.monotonicMs();
    try {
      await new Campaign(options, lead, leftovers).run(signal);
    } catch (error) {
      signal.throwIfAborted();
      if (TwillError.from(error).code === "BUG") throw error;
      log.event("election.interrupted", "this replica stands for election again", {
        key: "election",
        ...errorFields(error),
      });
    }
    if (clock.monotonicMs() - startedMs > GOOD_AFTER_MS) failures = 0;
    await clock.sleep(backoffMs(BACKOFF, failures, random()), signal);
  }
  signal.throwIfAborted();
}

/** One campaign, from its etcd lease to the end of its leadership. */
class Campaign {
  readonly #options: CampaignOptions;
  readonly #lead: Lead;
  /**
   * Etcd leases of earlier campaigns whose end etcd has not confirmed. Their keys stand before
   * ours for a whole TTL once etcd is back (measured: 11 s without allocations after an outage).
   */
  readonly #leftovers: Set<EtcdLeaseId>;
  #isLeading = false;

  constructor(options: CampaignOptions, lead: Lead, leftovers: Set<EtcdLeaseId>) {
    this.#options = options;
    this.#lead = lead;
    this.#leftovers = leftovers;
  }

  async run(signal: AbortSignal): Promise<void> {
    const lease = await HeldLease.grant(this.#options, signal);
    // Etcd answers, so what could not be given back before can be now.
    for (const id of this.#leftovers) await this.#resign(id);
    // The first thing that ends ends all: keep-alive, own key, work, or the caller.
    const group = new TaskGroup(signal);
    lease.keepIn(group);
    group.spawn((stop) => this.#stand(lease, group, stop));
    try {
      await group.join();
    } finally {
      await this.#resign(lease.id);
    }
  }

  /** Enters the key, waits for its turn, and watches over the key from then on. */
  async #stand(lease: HeldLease, group: TaskGroup, signal: AbortSignal): Promise<void> {
    const own = await this.#enter(lease, signal);
    for await (const candidates of observeCandidates(this.#options, signal)) {
      if (!candidates.some((each) => each.key === own.key && each.token === own.token)) {
        throw new TwillError("NOT_LEADER", `the election key ${own.key} is gone`);
      }
      if (this.#isLeading || candidates[0]?.token !== own.token) continue;
      // After a suspension this may run before the deadline's timer does.
      if (lease.leftMs <= 0) throw new TwillError("LEASE_LOST", "elected, but too late to be sure");
      this.#isLeading = true;
      group.spawn((stop) => this.#leadAs(own, group, stop));
    }
  }

  async #leadAs(own: Candidate, group: TaskGroup, signal: AbortSignal): Promise<void> {
    const { log } = this.#options;
    const fields = { fencing_token: own.token, election_key: own.key };
    signal.throwIfAborted();
    log.event("leadership.gained", "this replica leads", fields);
    try {
      await this.#lead({ key: own.key, token: own.token, signal });
      group.abort(new TwillError("NOT_LEADER", "the leader's work has ended"));
    } finally {
      const reason = TwillError.from(signal.reason ?? new TwillError("NOT_LEADER", "work failed"));
      log.event("leadership.lost", "this replica no longer leads", {
        ...fields,
        reason: reason.message,
      });
    }
  }

  /**
   * Puts the key. When the answer is lost the same transaction is sent again: nobody else
   * has this etcd lease, so a key that exists already is our own, and its create revision,
   * not the revision of now, is our place in the queue.
   */
  async #enter(lease: HeldLease, signal: AbortSignal): Promise<Candidate> {
    const { store, clock, random, value } = this.#options;
    const key = electionKey(lease.id);
    const transaction: Transaction = {
      compares: [{ key, createRevision: 0 }],
      writes: [{ op: "put", key, value, etcdLease: lease.id }],
      onConflict: [key],
    };
    for (let failures = 0; ; failures += 1) {
      try {
        const outcome = await store.transact(transaction, signal);
        if (outcome.kind === "committed") return { key, value, token: outcome.revision };
        const found = outcome.found[0];
        if (found !== undefined) return { key, value, token: found.createRevision };
      } catch (error) {
        signal.throwIfAborted();
        const { code } = TwillError.from(error);
        if (code !== "STORE_TIMEOUT" && code !== "STORE_UNAVAILABLE") throw error;
      }
      await clock.sleep(backoffMs(BACKOFF, failures, random()), signal);
    }
  }

  /** Ends the etcd lease and with it the key, so that another leads at once; best effort. */
  async #resign(id: EtcdLeaseId): Promise<void> {
    const { store, clock } = this.#options;
    this.#leftovers.add(id);
    const late = (): TwillError => new TwillError("STORE_TIMEOUT", "the key was not given back");
    // The caller's signal may be aborted already: that is why we resign.
    const { signal } = new AbortController();
    await withDeadline({ clock, ms: RESIGN_TIMEOUT_MS, late, signal }, async (limited) => {
      await store.revokeLease(id, limited);
      this.#leftovers.delete(id);
    }).catch(() => undefined);
  }
}
