/**
 * One process's way to the store, with the weather of a bad network: calls take time, are
 * refused, arrive without their answer coming back, or arrive long after the caller has given
 * up. It writes down which process made which revision, and which election keys are whose,
 * so that a checker needs nothing of what the code under test believes.
 */
import { setMaxListeners } from "node:events";
import { TwillError } from "../../../common/errors.ts";
import type { EtcdLeaseId, Revision } from "../../../common/lease/lease.ts";
import { electionKey } from "../../../controller/store/election.ts";
import type {
  ChangeSet,
  Listing,
  ListOptions,
  Store,
  Transaction,
  TransactionOutcome,
} from "../../../controller/store/store.ts";
import type { ManualClock } from "../manual-clock.ts";
import type { MemoryStore } from "../memory-store.ts";
import type { SimulatedProcess } from "./process.ts";

/** Who made a revision, and how. */
export interface Author {
  readonly process: string;
  readonly by: "transaction" | "revocation";
}

export interface Ledgers {
  readonly authors: Map<Revision, Author>;
  /** Election key -> process. */
  readonly candidacies: Map<string, string>;
}

export interface Weather {
  /** Longest ordinary way to the store and back. */
  readonly latencyMs: number;
  /** Shares of calls: refused at once; done but unanswered; never or much later done. */
  readonly refused: number;
  readonly unanswered: number;
  readonly late: number;
}

export interface LinkParts {
  readonly store: MemoryStore;
  readonly world: ManualClock;
  readonly process: SimulatedProcess;
  readonly random: () => number;
  readonly weather: () => Weather;
  readonly ledgers: Ledgers;
  /** A planted bug: what is done to every transaction on its way. */
  readonly tamper?: (transaction: Transaction) => Transaction;
}

/** A caller waits so long for an answer that does not come. */
const GIVE_UP_MS = 4000;
/** How much later than its caller gave up a late call may arrive. */
const LATEST_MS = 20_000;
const NEVER = new AbortController().signal;
setMaxListeners(0, NEVER);

export class SimulatedLink implements Store {
  readonly #parts: LinkParts;

  constructor(parts: LinkParts) {
    this.#parts = parts;
  }

  instance(signal: AbortSignal): Promise<string> {
    return this.#call(signal, () => this.#parts.store.instance(NEVER));
  }

  list(range: string, options: ListOptions): Promise<Listing> {
    const { signal, ...rest } = options;
    return this.#call(signal, () => this.#parts.store.list(range, { ...rest, signal: NEVER }));
  }

  async *watch(range: string, after: Revision, signal: AbortSignal): AsyncGenerator<ChangeSet> {
    const { store, world, process, random, weather } = this.#parts;
    for await (const change of store.watch(range, after, signal)) {
      await world.sleep(random() * weather().latencyMs, signal);
      await process.gate();
      signal.throwIfAborted();
      yield change;
    }
  }

  transact(transaction: Transaction, signal: AbortSignal): Promise<TransactionOutcome> {
    const { store, tamper } = this.#parts;
    const sent = tamper?.(transaction) ?? transaction;
    return this.#call(signal, () =>
      this.#authored("transaction", () => store.transact(sent, NEVER)),
    );
  }

  grantLease(ttlSeconds: number, signal: AbortSignal): Promise<EtcdLeaseId> {
    const { store, ledgers, process } = this.#parts;
    return this.#call(signal, async () => {
      const id = await store.grantLease(ttlSeconds, NEVER);
      ledgers.candidacies.set(electionKey(id), process.name);
      return id;
    });
  }

  revokeLease(id: EtcdLeaseId, signal: AbortSignal): Promise<void> {
    const { store } = this.#parts;
    return this.#call(signal, () =>
      this.#authored("revocation", () => store.revokeLease(id, NEVER)),
    );
  }

  timeToLive(id: EtcdLeaseId, signal: AbortSignal): Promise<number | undefined> {
    return this.#call(signal, () => this.#parts.store.timeToLive(id, NEVER));
  }

  keepAlive(id: EtcdLeaseId, signal: AbortSignal): Promise<number | undefined> {
    return this.#call(signal, () => this.#parts.store.keepAlive(id, NEVER));
  }

  async #authored<T>(by: Author["by"], run: () => Promise<T>): Promise<T> {
    const { store, ledgers, process } = this.#parts;
    const before = store.revision;
    // The memory store does a call within the turn it is made in.
    const answer = run();
    if (store.revision > before) ledgers.authors.set(store.revision, { process: process.name, by });
    return answer;
  }

  async #call<T>(signal: AbortSignal, run: () => Promise<T>): Promise<T> {
    const { world, random, weather, process } = this.#parts;
    const { latencyMs, refused, unanswered, late } = weather();
    signal.throwIfAborted();
    process.killed.throwIfAborted();
    const luck = random();
    const way = random() * latencyMs;
    const either = AbortSignal.any([signal, process.killed]);
    try {
      if (luck < refused) throw new TwillError("STORE_UNAVAILABLE", "etcd is unreachable");
      if (luck < refused + unanswered) return await this.#unanswered(way, either, run);
      if (luck < refused + unanswered + late) {
        return await this.#unanswered(GIVE_UP_MS + random() * LATEST_MS, either, run);
      }
      const answer = arriving(world, way / 2, run);
      await world.sleep(way, either);
      return await answer;
    } finally {
      await process.gate();
      process.killed.throwIfAborted();
      signal.throwIfAborted();
    }
  }

  /** The call arrives after `ms`, whatever becomes of its caller; the caller hears nothing. */
  async #unanswered(ms: number, signal: AbortSignal, run: () => Promise<unknown>): Promise<never> {
    const { world } = this.#parts;
    void arriving(world, ms, run);
    await world.sleep(GIVE_UP_MS, signal);
    throw new TwillError("STORE_TIMEOUT", "no answer came");
  }
}

/** What was sent arrives, also when its sender died meanwhile. */
function arriving<T>(world: ManualClock, ms: number, run: () => Promise<T>): Promise<T> {
  const answer = world.sleep(ms, NEVER).then(run);
  answer.catch(() => undefined);
  return answer;
}
