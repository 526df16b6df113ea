/**
 * The leader's care for the journal: writes down what was changed past the controllers, and
 * cuts off what is older than the newest so many entries. A change that brought its own entry
 * needs no look; any other makes it compare journal and store, at most once a second.
 */
import { type BackoffPolicy, backoffMs } from "../../common/async/backoff.ts";
import type { Clock } from "../../common/async/clock.ts";
import { Trigger } from "../../common/async/trigger.ts";
import { TwillError } from "../../common/errors.ts";
import type { Revision } from "../../common/lease/lease.ts";
import type { Leadership, Store, Transaction, Write } from "../store/store.ts";
import { subnetKey } from "../view/keys.ts";
import type { LeaseView } from "../view/lease-view.ts";
import type { TableChange } from "../view/table-change.ts";
import { OUTSIDE } from "./journal-entry.ts";
import { JournalPen } from "./journal-pen.ts";
import { type MissedChange, missedChanges } from "./missed.ts";
import type { Present } from "./past.ts";
import { readPresent } from "./read-present.ts";

export interface JournalKeeperParts {
  readonly store: Store;
  readonly view: LeaseView;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Entries that are kept. */
  readonly length: number;
}

/** etcd takes 128 writes in a transaction; entries may be large, and 1.5 MiB is its request limit. */
const BATCH = 32;
/** The journal may be longer by this part before it is cut. */
const SLACK = 0.1;
/** Changes that come together are looked at together. */
const PAUSE_MS = 1000;
const RETRY: BackoffPolicy = { initialMs: 1000, maxMs: 30_000, factor: 2, jitter: 0.3 };

/** Runs until the leadership ends. */
export async function keepJournal(
  parts: JournalKeeperParts,
  leadership: Leadership,
): Promise<void> {
  const { view, clock, random } = parts;
  const { signal } = leadership;
  const keeper = new JournalKeeper(parts, leadership);
  const stop = view.onChange(({ change }) => keeper.see(change));
  try {
    for (let faults = 0; ; ) {
      try {
        // First of all a new leader has nodes to serve.
        await clock.sleep(PAUSE_MS, signal);
        await keeper.look();
        faults = 0;
        await keeper.due(signal);
      } catch (error) {
        if (signal.aborted) return;
        if (TwillError.from(error).code === "BUG") throw error;
        await clock.sleep(backoffMs(RETRY, faults, random()), signal).catch(() => undefined);
        faults += 1;
      }
    }
  } finally {
    stop();
  }
}

class JournalKeeper {
  readonly #parts: JournalKeeperParts;
  readonly #leadership: Leadership;
  readonly #pen: JournalPen;
  readonly #due = new Trigger();
  /** When keys went that are not there any more; etcd does not keep that. */
  readonly #goneAt = new Map<string, Revision>();
  #unread = 0;

  constructor(parts: JournalKeeperParts, leadership: Leadership) {
    this.#parts = parts;
    this.#leadership = leadership;
    this.#pen = new JournalPen(leadership, "k");
  }

  due(signal: AbortSignal): Promise<void> {
    return this.#due.wait(signal);
  }

  see(change: TableChange): void {
    const { journalEntries, touched, configChanged, revision } = change;
    this.#unread += journalEntries;
    const isMissed = journalEntries === 0 && (touched.length > 0 || configChanged);
    if (isMissed) for (const key of touched) this.#goneAt.set(subnetKey(key), revision);
    if (isMissed || this.#unread > this.#parts.length * SLACK) this.#due.kick();
  }

  async look(): Promise<void> {
    this.#unread = 0;
    const present = await readPresent(this.#parts.store, this.#leadership.signal);
    const missed = missedChanges({ ...present, goneAt: this.#goneAt });
    this.#goneAt.clear();
    for (const batch of batchesOf(missed)) await this.#write(batch.map((one) => this.#tell(one)));
    const surplus = present.journal.length + missed.length - this.#parts.length;
    await this.#cut(present, surplus);
  }

  async #cut({ journal }: Present, surplus: number): Promise<void> {
    const old = journal.slice(0, Math.max(0, surplus));
    for (const batch of batchesOf(old)) {
      await this.#write(batch.map(({ key }): Write => ({ op: "delete", key })));
    }
  }

  #tell({ change, revision }: MissedChange): Write {
    const at = new Date(this.#parts.clock.wallMs()).toISOString();
    const subject = subjectOf(change.key);
    const entry = { at, by: OUTSIDE, subject, changes: [change], revision };
    return this.#pen.write({ ...entry, action: "store.changed" });
  }

  async #write(writes: readonly Write[]): Promise<void> {
    const { key, token, signal } = this.#leadership;
    const compares = [{ key, createRevision: token }];
    const transaction: Transaction = { compares, writes, onConflict: [] };
    // A lost answer does no harm: what was not written is found missing again.
    await this.#parts.store.transact(transaction, signal);
  }
}

function batchesOf<T>(all: readonly T[]): readonly (readonly T[])[] {
  return Array.from({ length: Math.ceil(all.length / BATCH) }, (_, index) =>
    all.slice(index * BATCH, (index + 1) * BATCH),
  );
}

/** A lease by its subnet, the config by its name. */
function subjectOf(key: string): string {
  return key.slice(key.indexOf("/") + 1);
}
