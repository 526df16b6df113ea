/**
 * The newest events, shared by all who watch. A watcher holds its place, a number, and no queue:
 * who reads too slowly is told how many went by. Pure.
 */
import type { WatchEvent } from "../../proto/gen/twill/v1/inspect.ts";

/** A change that 1,000 nodes acknowledge is 1,000 events. */
export const KEPT_EVENTS = 8192;
/** Per message; far below what gRPC takes at once. */
export const BATCH_EVENTS = 256;

export interface Batch {
  readonly events: readonly WatchEvent[];
  readonly missed: number;
  /** The place to go on from. */
  readonly next: number;
}

export class EventRing {
  readonly #kept: number;
  readonly #events: WatchEvent[] = [];
  readonly #listeners = new Set<() => void>();
  #head = 0;

  constructor(kept = KEPT_EVENTS) {
    this.#kept = kept;
  }

  /** Where those begin who only want what is to come. */
  get head(): number {
    return this.#head;
  }

  push(event: WatchEvent): void {
    this.#events.push(event);
    this.#head += 1;
    // In slices: taking one off the front for each that comes would move them all each time.
    if (this.#events.length > 2 * this.#kept) this.#events.splice(0, this.#kept);
    for (const listener of this.#listeners) listener();
  }

  /** What follows a place, of the kinds wanted (none: all). */
  after(place: number, kinds: ReadonlySet<string>): Batch {
    const oldest = this.#head - Math.min(this.#events.length, this.#kept);
    const from = Math.max(place, oldest);
    const offset = this.#events.length - this.#head;
    const events = this.#events.slice(from + offset, from + offset + BATCH_EVENTS);
    const wanted = events.filter(({ event }) => kinds.size === 0 || kinds.has(event?.$case ?? ""));
    return { events: wanted, missed: from - place, next: from + events.length };
  }

  /** Calls back after every event; answers how to stop it. */
  onPush(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
