/**
 * An etcd lease that knows by itself when it may have ended. etcd counts the TTL from when it
 * took the last keep-alive; we count from before we sent it, on our own clocks, and stop a
 * margin earlier: so the holder gives up before etcd can give the key to another. Elapsed
 * time is the larger of monotonic and wall time, because Linux stops the monotonic clock while
 * a machine is suspended and etcd does not.
 */
import type { Clock } from "../../common/async/clock.ts";
import type { TaskGroup } from "../../common/async/task-group.ts";
import { TwillError } from "../../common/errors.ts";
import type { EtcdLeaseId } from "../../common/lease/lease.ts";
import type { Store } from "./store.ts";

/**
 * Share of the TTL given away. Measured with a partitioned leader, TTL 5 s: without a margin the
 * old leader gave up 0.02 s after the new one was elected; with 20 % at least 1.1 s before.
 */
export const LEASE_MARGIN = 0.2;
/** Keep-alives per TTL: two may be lost before the lease is. */
const RENEWALS_PER_TTL = 4;
/** Pause after a keep-alive that failed. */
const RETRY_MS = 250;
/** No timer tells of a jump of the wall clock, so it is looked at so often. */
const CHECK_MS = 500;

export interface LeaseTerms {
  readonly store: Store;
  readonly clock: Clock;
  readonly ttlSeconds: number;
}

interface Moment {
  readonly monotonicMs: number;
  readonly wallMs: number;
}

export class HeldLease {
  readonly id: EtcdLeaseId;
  readonly #terms: LeaseTerms;
  /** When the last keep-alive that was acknowledged was sent. */
  #renewed: Moment;

  private constructor(id: EtcdLeaseId, terms: LeaseTerms, sent: Moment) {
    this.id = id;
    this.#terms = terms;
    this.#renewed = sent;
  }

  static async grant(terms: LeaseTerms, signal: AbortSignal): Promise<HeldLease> {
    const sent = moment(terms.clock);
    return new HeldLease(await terms.store.grantLease(terms.ttlSeconds, signal), terms, sent);
  }

  /** How long it is still surely held; zero or less: perhaps not. */
  get leftMs(): number {
    const { clock, ttlSeconds } = this.#terms;
    const now = moment(clock);
    const elapsedMs = Math.max(
      now.monotonicMs - this.#renewed.monotonicMs,
      now.wallMs - this.#renewed.wallMs,
    );
    return ttlSeconds * 1000 * (1 - LEASE_MARGIN) - elapsedMs;
  }

  /**
   * Keeps it alive as tasks of the group, which fails with LEASE_LOST in time: the deadline
   * is a task of its own, so it waits for no keep-alive that hangs.
   */
  keepIn(group: TaskGroup): void {
    group.spawn((signal) => this.#watchDeadline(signal));
    group.spawn((signal) => this.#renew(signal));
  }

  async #renew(signal: AbortSignal): Promise<void> {
    const { store, clock, ttlSeconds } = this.#terms;
    for (;;) {
      await clock.sleep((ttlSeconds * 1000) / RENEWALS_PER_TTL, signal);
      for (let isRenewed = false; !isRenewed; ) {
        const sent = moment(clock);
        try {
          if ((await store.keepAlive(this.id, signal)) === undefined)
            throw this.#lost("etcd ended it");
          this.#renewed = sent;
          isRenewed = true;
        } catch (error) {
          signal.throwIfAborted();
          if (TwillError.from(error).code === "LEASE_LOST") throw error;
          await clock.sleep(RETRY_MS, signal);
        }
      }
    }
  }

  async #watchDeadline(signal: AbortSignal): Promise<void> {
    for (;;) {
      const { leftMs } = this;
      if (leftMs <= 0) throw this.#lost("no keep-alive was acknowledged in time");
      await this.#terms.clock.sleep(Math.min(leftMs, CHECK_MS), signal);
    }
  }

  #lost(why: string): TwillError {
    return new TwillError("LEASE_LOST", `etcd lease ${this.id} is lost: ${why}`);
  }
}

function moment(clock: Clock): Moment {
  return { monotonicMs: clock.monotonicMs(), wallMs: clock.wallMs() };
}
