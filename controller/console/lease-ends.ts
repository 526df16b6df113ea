/**
 * Until when leases run, asked of etcd when a page shows them: etcd alone knows, and asking
 * for all of them always would be a request per node and second. Few at a time, and an answer
 * is good for a while, so that pages cannot load etcd.
 */
import type { Clock } from "../../common/async/clock.ts";
import { withDeadline } from "../../common/async/deadline.ts";
import { Slots } from "../../common/async/slots.ts";
import type { ConsoleEnd } from "../../common/console/console-state.ts";
import { TwillError } from "../../common/errors.ts";
import { NO_ETCD_LEASE } from "../../common/lease/lease.ts";
import type { Store } from "../store/store.ts";
import type { LeaseTable } from "../view/lease-table.ts";

export interface LeaseEndsParts {
  readonly store: Pick<Store, "timeToLive">;
  readonly table: LeaseTable;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** Keys in one question; a page shows no more rows at once. */
export const MOST_KEYS = 64;
const AT_ONCE = 4;
const GOOD_MS = 5000;
const DEADLINE_MS = 3000;
const MAX_KNOWN = 1024;

interface Known {
  readonly askedMs: number;
  readonly seconds: Promise<number | undefined>;
}

export class LeaseEnds {
  readonly #parts: LeaseEndsParts;
  readonly #slots = new Slots(AT_ONCE);
  /** By etcd lease. */
  readonly #known = new Map<string, Known>();

  constructor(parts: LeaseEndsParts) {
    this.#parts = parts;
  }

  /** Of the keys that are leases; rejects when etcd does not answer. */
  async of(keys: readonly string[]): Promise<readonly ConsoleEnd[]> {
    const { rows } = this.#parts.table;
    const found = keys.slice(0, MOST_KEYS).flatMap((key) => rows.get(key) ?? []);
    return Promise.all(
      found.map(async ({ lease, etcdLease }): Promise<ConsoleEnd> => {
        const seconds = etcdLease === NO_ETCD_LEASE ? undefined : await this.#ask(etcdLease);
        return { key: lease.key, seconds: seconds ?? null };
      }),
    );
  }

  async #ask(etcdLease: string): Promise<number | undefined> {
    const nowMs = this.#parts.clock.monotonicMs();
    const known = this.#known.get(etcdLease);
    if (known !== undefined && nowMs - known.askedMs < GOOD_MS) {
      const seconds = await known.seconds;
      const passed = Math.round((this.#parts.clock.monotonicMs() - known.askedMs) / 1000);
      return seconds === undefined ? undefined : Math.max(0, seconds - passed);
    }
    if (this.#known.size >= MAX_KNOWN) this.#known.clear();
    const seconds = this.#slots.run(() => this.#timeToLive(etcdLease));
    this.#known.set(etcdLease, { askedMs: nowMs, seconds });
    try {
      return await seconds;
    } catch (error) {
      this.#known.delete(etcdLease);
      throw error;
    }
  }

  async #timeToLive(etcdLease: string): Promise<number | undefined> {
    const { store, clock, signal } = this.#parts;
    const late = (): TwillError =>
      new TwillError("STORE_UNAVAILABLE", `etcd did not answer within ${DEADLINE_MS} ms`);
    return withDeadline({ clock, ms: DEADLINE_MS, late, signal }, (inner) =>
      store.timeToLive(etcdLease, inner),
    );
  }
}
