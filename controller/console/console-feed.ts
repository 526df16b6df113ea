/**
 * The state that the console's pages show, kept by comparing: what the parts say now with what
 * was told last. Nothing else of the controller knows of the console, and a burst of changes is
 * one frame. Each frame is encoded once, whoever reads it; a snapshot once per sequence.
 */
import type { Clock } from "../../common/async/clock.ts";
import { kickOrTimeout } from "../../common/async/kick-or-timeout.ts";
import { Trigger } from "../../common/async/trigger.ts";
import type {
  ConsoleDelta,
  ConsoleEvent,
  ConsoleHead,
  ConsoleLease,
  ConsoleNode,
  ConsoleSnapshot,
} from "../../common/console/console-state.ts";
import type { LeaseView, ViewChange } from "../view/lease-view.ts";
import { FrameRing } from "./frame-ring.ts";
import { type Change, headNews, leaseNews, type News, nodeNews } from "./news.ts";
import { consoleLease } from "./rows.ts";

export interface FeedParts {
  readonly view: LeaseView;
  readonly clock: Clock;
  readonly head: () => ConsoleHead;
  /** Every node whose stream is known, each with what was told of it last when nothing changed. */
  readonly nodes: (told: ReadonlyMap<string, ConsoleNode>) => Iterable<ConsoleNode>;
}

/** Acknowledgements are looked for this often; a lease that changes is told sooner. */
const LOOK_MS = 250;
/** From a change of the table to its frame, so that a burst is one. */
const WINDOW_MS = 40;
/** Without news a frame says that this controller lives. */
const BEAT_MS = 2000;
const KEPT_EVENTS = 400;

export class ConsoleFeed {
  readonly ring = new FrameRing();
  readonly #parts: FeedParts;
  readonly #wake = new Trigger();
  readonly #nodes = new Map<string, ConsoleNode>();
  readonly #leases = new Map<string, ConsoleLease>();
  readonly #touched = new Set<string>();
  readonly #listeners = new Set<() => void>();
  #events: ConsoleEvent[] = [];
  #eventId = 0;
  #head: ConsoleHead;
  #headText: string;
  #isNew = true;
  #frameMs = Number.NEGATIVE_INFINITY;
  #snapshot: { readonly sequence: number; readonly json: string } | undefined;

  constructor(parts: FeedParts) {
    this.#parts = parts;
    this.#head = parts.head();
    this.#headText = JSON.stringify(this.#head);
  }

  /** Calls back after every frame; answers how to stop it. */
  onFrame(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** All of it, as JSON of a ConsoleSnapshot. */
  snapshot(): { readonly sequence: number; readonly json: string } {
    const sequence = this.ring.head;
    if (this.#snapshot?.sequence === sequence) return this.#snapshot;
    const snapshot: ConsoleSnapshot = {
      sequence,
      atMs: this.#parts.clock.wallMs(),
      head: this.#head,
      nodes: [...this.#nodes.values()],
      leases: [...this.#leases.values()],
      events: this.#events,
    };
    this.#snapshot = { sequence, json: JSON.stringify(snapshot) };
    return this.#snapshot;
  }

  /** Runs until the signal. */
  async run(signal: AbortSignal): Promise<void> {
    const { view, clock } = this.#parts;
    const stopFollowing = view.onChange((change) => this.#note(change));
    for (const key of view.table.rows.keys()) this.#touched.add(key);
    try {
      for (;;) {
        this.look();
        await kickOrTimeout(this.#wake, LOOK_MS, clock, signal);
        await clock.sleep(WINDOW_MS, signal);
      }
    } finally {
      stopFollowing();
    }
  }

  #note({ change, isReset }: ViewChange): void {
    const keys = isReset ? [...this.#leases.keys(), ...this.#parts.view.table.rows.keys()] : [];
    for (const key of keys) this.#touched.add(key);
    for (const row of change.upserts) this.#touched.add(row.lease.key);
    for (const key of change.removes) this.#touched.add(key);
    // A lease can go to another etcd lease without a difference that agents see.
    for (const key of change.touched) this.#touched.add(key);
    this.#wake.kick();
  }

  /** Compares once, and makes a frame when there is news or nothing was said for long. */
  look(): void {
    const atMs = this.#parts.clock.wallMs();
    const leases = this.#leaseChanges();
    const nodes = this.#nodeChanges();
    const head = this.#headChange();
    // What is there at the start is no news.
    const isFirst = this.#isNew && this.#parts.view.instance !== "";
    if (isFirst) this.#isNew = false;
    const news =
      isFirst || this.#isNew ? [] : [...leaseNews(leases), ...nodeNews(nodes, atMs), ...head.news];
    const events = news.map((one) => this.#event(one, atMs));
    const isDue = this.#parts.clock.monotonicMs() - this.#frameMs >= BEAT_MS;
    if (leases.length + nodes.length === 0 && !head.isNew && !isDue) return;
    this.#publish({
      sequence: this.ring.head + 1,
      atMs,
      head: head.isNew ? this.#head : undefined,
      nodes: some(after(nodes)),
      nodesGone: some(gone(nodes).map(({ node }) => node)),
      leases: some(after(leases)),
      leasesGone: some(gone(leases).map(({ key }) => key)),
      events: some(events),
    });
  }

  #publish(delta: ConsoleDelta): void {
    this.#frameMs = this.#parts.clock.monotonicMs();
    this.ring.push(encodeFrame("delta", JSON.stringify(delta)));
    for (const listener of this.#listeners) listener();
  }

  #event(news: News, atMs: number): ConsoleEvent {
    this.#eventId += 1;
    const event = { id: this.#eventId, atMs, ...news };
    this.#events.push(event);
    if (this.#events.length > 2 * KEPT_EVENTS) this.#events = this.#events.slice(-KEPT_EVENTS);
    return event;
  }

  #leaseChanges(): Change<ConsoleLease>[] {
    const { rows } = this.#parts.view.table;
    const changes: Change<ConsoleLease>[] = [];
    for (const key of this.#touched) {
      const row = rows.get(key);
      const before = this.#leases.get(key);
      const after = row === undefined ? undefined : consoleLease(row);
      if (after === undefined) this.#leases.delete(key);
      else this.#leases.set(key, after);
      if (JSON.stringify(before) !== JSON.stringify(after)) changes.push({ before, after });
    }
    this.#touched.clear();
    return changes;
  }

  #nodeChanges(): Change<ConsoleNode>[] {
    const changes: Change<ConsoleNode>[] = [];
    const seen = new Set<string>();
    for (const after of this.#parts.nodes(this.#nodes)) {
      seen.add(after.node);
      const before = this.#nodes.get(after.node);
      if (before === after) continue;
      this.#nodes.set(after.node, after);
      changes.push({ before, after });
    }
    for (const [name, before] of this.#nodes) {
      if (seen.has(name)) continue;
      this.#nodes.delete(name);
      changes.push({ before, after: undefined });
    }
    return changes;
  }

  #headChange(): { readonly isNew: boolean; readonly news: readonly News[] } {
    const before = this.#head;
    const after = this.#parts.head();
    const text = JSON.stringify(after);
    if (text === this.#headText) return { isNew: false, news: [] };
    this.#head = after;
    this.#headText = text;
    return { isNew: true, news: headNews(before, after) };
  }
}

/** One message of an event stream (WHATWG HTML, server-sent events). */
export function encodeFrame(event: string, json: string): Uint8Array {
  return Buffer.from(`event: ${event}\ndata: ${json}\n\n`);
}

function after<T>(changes: readonly Change<T>[]): readonly T[] {
  return changes.flatMap((change) => (change.after === undefined ? [] : [change.after]));
}

function gone<T>(changes: readonly Change<T>[]): readonly T[] {
  return changes.flatMap((change) =>
    change.after === undefined && change.before !== undefined ? [change.before] : [],
  );
}

/** Empty lists are left out of a frame. */
function some<T>(list: readonly T[]): readonly T[] | undefined {
  return list.length === 0 ? undefined : list;
}
