/**
 * Keeps the view equal to etcd: lists once, with as much history as etcd still has, then
 * follows the watch. Whatever ends the watch, the table is listed again and compared, and a
 * cheap listing from any member is compared every minute even if nothing ended: a watch
 * alone is not trusted (design 3).
 */
import { type BackoffPolicy, backoffMs } from "../../common/async/backoff.ts";
import type { Clock } from "../../common/async/clock.ts";
import { TaskGroup } from "../../common/async/task-group.ts";
import { TwillError } from "../../common/errors.ts";
import { errorFields, type Logger } from "../../common/log.ts";
import type { Store } from "../store/store.ts";
import { suspiciousKeys } from "./compare-listing.ts";
import { confirmWithdrawals } from "./confirm-withdrawals.ts";
import { NO_STORM_LIMITS, type StormLimits } from "./expiry-storm.ts";
import { readHistory } from "./history.ts";
import { LeaseView } from "./lease-view.ts";
import { listWatched } from "./list-watched.ts";
import type { TableChange } from "./table-change.ts";

export interface ViewServiceParts {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** undefined: withdrawals are never held back. */
  readonly storm?: StormLimits;
}

const COMPARE_MS = 60_000;
const COMPARE_JITTER = 0.2;
/** An event may be on its way when a listing already shows it; this is how long it may take. */
const COMPARE_GRACE_MS = 2000;
const RETRY: BackoffPolicy = { initialMs: 500, maxMs: 5000, factor: 2, jitter: 0.2 };

export class ViewService {
  readonly view: LeaseView;
  readonly #parts: ViewServiceParts;
  #isReady = false;
  /** Faults in a row. */
  #faults = 0;
  #fault: TwillError | undefined;

  constructor(parts: ViewServiceParts) {
    this.#parts = parts;
    const { log, clock, storm } = parts;
    this.view = new LeaseView(log, { limits: storm ?? NO_STORM_LIMITS, clock });
  }

  /** True once the table has been equal to etcd's. It stays so when etcd goes away. */
  get isReady(): boolean {
    return this.#isReady;
  }

  /** Why the table may be stale; undefined: it follows etcd. */
  get fault(): TwillError | undefined {
    return this.#fault;
  }

  /** Runs until the signal; ends only by it, or by a bug. */
  async run(signal: AbortSignal): Promise<void> {
    const group = new TaskGroup(signal);
    group.spawn((inner) => this.#follow(inner));
    group.spawn((inner) => this.#compareForEver(inner));
    const refresh = (inner: AbortSignal): Promise<TableChange | undefined> => this.refresh(inner);
    const { clock } = this.#parts;
    group.spawn((inner) => confirmWithdrawals({ view: this.view, clock, refresh }, inner));
    await group.join();
  }

  /**
   * Makes the table at least as new as etcd is at the time of the call; answers what that
   * changed, undefined when the watch had been faster.
   */
  async refresh(signal: AbortSignal): Promise<TableChange | undefined> {
    const { store } = this.#parts;
    const instance = await store.instance(signal);
    return this.view.replace(await listWatched(store, { signal }), instance);
  }

  async #follow(signal: AbortSignal): Promise<void> {
    for (;;) {
      try {
        await this.#list(signal);
        await this.#watch(signal);
      } catch (error) {
        signal.throwIfAborted();
        await this.#interrupted(TwillError.from(error), signal);
      }
    }
  }

  /** Brings the table up to date by listing, the first time with history. */
  async #list(signal: AbortSignal): Promise<void> {
    // Twice, because a listing may also be older than what `refresh` brought meanwhile.
    const change = this.#isReady
      ? ((await this.refresh(signal)) ?? (await this.refresh(signal)))
      : undefined;
    if (change === undefined) await this.#load(signal);
    else this.#logResync(change);
    this.#isReady = true;
    this.#fault = undefined;
  }

  /** The first table, or one whose history has nothing to do with the last one's. */
  async #load(signal: AbortSignal): Promise<void> {
    const { store } = this.#parts;
    const instance = await store.instance(signal);
    const listing = await listWatched(store, { signal });
    const history = await readHistory(this.#parts, listing, signal);
    const change = this.view.load(listing, instance, history);
    if (this.#isReady) this.#logResync(change);
    this.#parts.log.event("table.loaded", "the leases were read from etcd", {
      revision: listing.revision,
      leases: this.view.table.rows.size,
      history: this.view.chain.length,
    });
  }

  #logResync(change: TableChange): void {
    this.#parts.log.event("watch.resynced", "the table was listed again after the watch ended", {
      revision: change.revision,
      upserts: change.upserts.length,
      removes: change.removes.length,
    });
  }

  async #watch(signal: AbortSignal): Promise<void> {
    const { store, clock } = this.#parts;
    const { revision } = this.view.table;
    const sinceMs = clock.monotonicMs();
    try {
      for await (const changes of store.watch("", revision, signal)) {
        this.#faults = 0;
        this.view.apply(changes);
      }
    } finally {
      // A watch that held for a while was good, even if nothing happened in it.
      if (clock.monotonicMs() - sinceMs > RETRY.maxMs) this.#faults = 0;
    }
  }

  async #interrupted(fault: TwillError, signal: AbortSignal): Promise<void> {
    if (fault.code === "BUG") throw fault;
    const { clock, log, random } = this.#parts;
    this.#fault = fault;
    log.event("watch.interrupted", `not following etcd: ${fault.message}`, {
      key: fault.code,
      ...errorFields(fault),
    });
    const isOverAtOnce = fault.code === "STORE_COMPACTED" && this.#faults === 0;
    const waitMs = isOverAtOnce ? 0 : backoffMs(RETRY, this.#faults, random());
    this.#faults += 1;
    await clock.sleep(waitMs, signal);
  }

  async #compareForEver(signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#parts;
    for (;;) {
      await clock.sleep(COMPARE_MS * (1 + COMPARE_JITTER * (2 * random() - 1)), signal);
      try {
        if (this.#isReady) await this.#compare(signal);
      } catch (error) {
        signal.throwIfAborted();
        // An etcd that does not answer is the follower's affair; it says so.
        if (TwillError.from(error).code === "BUG") throw error;
      }
    }
  }

  async #compare(signal: AbortSignal): Promise<void> {
    const { store, clock, log } = this.#parts;
    const listing = await listWatched(store, { serializable: true, signal });
    const { table } = this.view;
    if (suspiciousKeys(table, listing).length === 0) return;
    await clock.sleep(COMPARE_GRACE_MS, signal);
    const keys = suspiciousKeys(table, listing);
    if (keys.length === 0) return;
    const change = await this.refresh(signal);
    if (change === undefined || isEmpty(change)) return;
    log.event("table.diverged", "a listing showed what the watch had missed; the table is healed", {
      revision: table.revision,
      keys: keys.length,
      example: keys[0],
    });
  }
}

function isEmpty(change: TableChange): boolean {
  const { touched, nodes, configChanged, leaderChanged } = change;
  return touched.length + nodes.length === 0 && !configChanged && !leaderChanged;
}
