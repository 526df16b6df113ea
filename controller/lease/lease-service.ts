/**
 * Gives out leases while this replica leads; answers NOT_LEADER otherwise. `lead` is what
 * the election runs.
 */
import { setMaxListeners } from "node:events";
import { type BackoffPolicy, backoffMs } from "../../common/async/backoff.ts";
import { TwillError } from "../../common/errors.ts";
import type { Leadership } from "../store/store.ts";
import {
  type Allocator,
  type Refused,
  type Registered,
  type Released,
  refused,
} from "./allocator.ts";
import type { RegistrationRequest } from "./decide.ts";
import { LeaseTerm, type LeaseTermParts } from "./lease-term.ts";

const RETRY: BackoffPolicy = { initialMs: 50, maxMs: 2000, factor: 2, jitter: 0.2 };

export class LeaseService implements Allocator {
  readonly #parts: LeaseTermParts;
  #term: LeaseTerm | undefined;

  constructor(parts: LeaseTermParts) {
    this.#parts = parts;
  }

  /** True while this replica can give out leases. */
  get isLeading(): boolean {
    return this.#term !== undefined;
  }

  /** Serves until the leadership has ended; nothing of it goes on afterwards. */
  async lead(leadership: Leadership): Promise<void> {
    // Every request under way listens to it; that is no leak.
    setMaxListeners(0, leadership.signal);
    // What earlier leaders wrote lies before this leadership, but the watch may be behind.
    await this.#catchUp(leadership.signal);
    const term = new LeaseTerm(this.#parts, leadership);
    this.#term = term;
    try {
      await aborted(leadership.signal);
    } finally {
      this.#term = undefined;
      await term.end();
    }
  }

  async register(request: RegistrationRequest, signal: AbortSignal): Promise<Registered | Refused> {
    const term = this.#term;
    if (term === undefined) return notLeading();
    return untilAborted(term.register(request), signal);
  }

  async release(node: string, signal: AbortSignal): Promise<Released | Refused> {
    const term = this.#term;
    if (term === undefined) return notLeading();
    return untilAborted(term.release(node), signal);
  }

  async #catchUp(signal: AbortSignal): Promise<void> {
    const { views, clock, random } = this.#parts;
    for (let attempt = 0; ; attempt += 1) {
      try {
        if (views.isReady) {
          await views.refresh(signal);
          return;
        }
      } catch (error) {
        signal.throwIfAborted();
        if (TwillError.from(error).code === "BUG") throw error;
      }
      await clock.sleep(backoffMs(RETRY, attempt, random()), signal);
    }
  }
}

function notLeading(): Refused {
  return refused("NOT_LEADER", "this replica does not lead");
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

/** The caller may stop waiting; the work goes on, because half of it would be worse. */
async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  let onAbort = (): void => undefined;
  const given = new Promise<never>((_, reject) => {
    onAbort = () => reject(TwillError.from(signal.reason));
    signal.addEventListener("abort", onAbort, { once: true });
  });
  try {
    return await Promise.race([work, given]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
