/**
 * Carries out one planned write and finds out what came of it. A transaction whose answer was
 * lost is read back and recognised; one that is not there is made harmless before anything else
 * is tried: its new etcd lease is revoked, so that it fails should it still arrive.
 */
import { type BackoffPolicy, backoffMs } from "../../common/async/backoff.ts";
import type { Clock } from "../../common/async/clock.ts";
import { TwillError } from "../../common/errors.ts";
import type { EtcdLeaseId, Revision } from "../../common/lease/lease.ts";
import type { Entry, Leadership, Store, Transaction, TransactionOutcome } from "../store/store.ts";
import type { Ledger } from "./ledger.ts";
import { isFenced, isWritten, type PlannedWrite } from "./transaction.ts";
import { WriteBatch } from "./write-batch.ts";

export type WriteOutcome =
  | { readonly kind: "committed"; readonly revision: Revision }
  /** A key was not as the ledger had it; nothing was written. */
  | { readonly kind: "conflict" }
  /** Nothing was written, nothing will be, and the new etcd lease is gone. */
  | { readonly kind: "undone" }
  /** Another replica leads. */
  | { readonly kind: "fenced" };

export interface FencedWriterParts {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: () => number;
  readonly ledger: Ledger;
  readonly leadership: Leadership;
}

const READ_BACK: BackoffPolicy = { initialMs: 200, maxMs: 2000, factor: 2, jitter: 0.2 };

export class FencedWriter {
  readonly #parts: FencedWriterParts;
  readonly #batch: WriteBatch;

  constructor(parts: FencedWriterParts) {
    this.#parts = parts;
    this.#batch = new WriteBatch(parts.store, parts.leadership);
  }

  /**
   * `granted`: an etcd lease that only this write uses. Throws what the store throws when it
   * is certain that nothing was written, and the signal's reason when leadership ends.
   */
  async write(
    node: string,
    { transaction, write }: PlannedWrite,
    granted: EtcdLeaseId | undefined,
  ): Promise<WriteOutcome> {
    const { ledger, leadership } = this.#parts;
    ledger.hold(node, write);
    const outcome = await this.#transact(transaction, granted);
    switch (outcome.kind) {
      case "committed":
        return this.#committed(node, outcome.revision);
      case "conflict":
        ledger.drop(node);
        return { kind: isFenced(leadership, outcome.found) ? "fenced" : "conflict" };
      case "failed":
        ledger.drop(node);
        if (outcome.fault.code === "LEASE_LOST") return { kind: "undone" };
        throw outcome.fault;
      case "unknown":
        return this.#readBack(node, transaction, granted);
    }
  }

  async #transact(
    transaction: Transaction,
    granted: EtcdLeaseId | undefined,
  ): Promise<
    | TransactionOutcome
    | { readonly kind: "unknown" }
    | { readonly kind: "failed"; readonly fault: TwillError }
  > {
    const { store, leadership } = this.#parts;
    try {
      if (granted !== undefined) return await this.#batch.transact(transaction);
      return await store.transact(transaction, leadership.signal);
    } catch (error) {
      // Who is deposed in the middle knows nothing and may do nothing about it.
      leadership.signal.throwIfAborted();
      const fault = TwillError.from(error);
      return fault.code === "STORE_TIMEOUT" ? { kind: "unknown" } : { kind: "failed", fault };
    }
  }

  #committed(node: string, revision: Revision): WriteOutcome {
    this.#parts.ledger.confirm(node, revision);
    return { kind: "committed", revision };
  }

  /**
   * Until etcd answers or leadership ends; the write stays held meanwhile. Once a revocation
   * was sent there is no way back: it may arrive after the write did, so a write that is found
   * then must not be taken for done (random history 1444).
   */
  async #readBack(
    node: string,
    transaction: Transaction,
    granted: EtcdLeaseId | undefined,
  ): Promise<WriteOutcome> {
    const { store, clock, random, ledger, leadership } = this.#parts;
    let isRevoking = false;
    for (let attempt = 0; ; attempt += 1) {
      try {
        if (!isRevoking) {
          const found = await this.#read(transaction.writes.map(({ key }) => key));
          if (isWritten(transaction, found)) {
            const revision = Math.max(...found.map(({ modRevision }) => modRevision));
            return this.#committed(node, revision);
          }
        }
        isRevoking = granted !== undefined;
        if (granted !== undefined) await store.revokeLease(granted, leadership.signal);
        ledger.drop(node);
        return { kind: "undone" };
      } catch (error) {
        leadership.signal.throwIfAborted();
        if (TwillError.from(error).code === "BUG") throw error;
        await clock.sleep(backoffMs(READ_BACK, attempt, random()), leadership.signal);
      }
    }
  }

  async #read(keys: readonly string[]): Promise<readonly Entry[]> {
    const { store, leadership } = this.#parts;
    const { signal } = leadership;
    const listings = await Promise.all(keys.map((key) => store.list(key, { signal })));
    return listings.flatMap(({ entries }, index) =>
      entries.filter(({ key }) => key === keys[index]),
    );
  }
}
