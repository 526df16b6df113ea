/**
 * Brings every change to every agent. Nobody has a queue: each subscriber holds a place in
 * the shared chain and has at most one message on its way. A change arms one flush for all; the
 * flush walks the subscribers in slices, gives those at the same place the same bytes, and
 * skips who is still busy: they catch up with one merged message when they are free. The busier
 * the process, the longer the flushes and the larger the messages (fanout notes 4b).
 */
import type { Clock } from "../../common/async/clock.ts";
import { TaskGroup } from "../../common/async/task-group.ts";
import { Trigger } from "../../common/async/trigger.ts";
import { TwillError } from "../../common/errors.ts";
import type { Logger } from "../../common/log.ts";
import type { Metrics } from "../../common/metrics.ts";
import type { Ack } from "../../proto/gen/twill/v1/fabric.ts";
import { agentConfig } from "../view/agent-config.ts";
import type { Crumb } from "../view/crumb-chain.ts";
import { nextFor, type Place } from "../view/feed.ts";
import type { LeaseView } from "../view/lease-view.ts";
import { encodeDelta, encodeSnapshot, type Snapshot } from "../view/stream-frames.ts";
import type { HubState, PlacedFrame, Subscriber } from "./subscriber.ts";

export interface HubParts {
  readonly view: LeaseView;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** The leader as it is known here, for people. */
  readonly leader: () => string;
  /** Lets other work of the process run between two slices. */
  readonly yieldTurn: () => Promise<void>;
}

/** What an agent must send at least this often. */
export const HEARTBEAT_MS = 10_000;
/** From the first change to the flush; longer while flushes take long. */
const WINDOW_MS = { min: 20, max: 250 } as const;
const SLICE = 250;
const BOOKMARK_MS = 30_000;
const TICK_MS = 1000;
/** A write that takes longer: the agent does not read. */
const STALLED_MS = 30_000;
/** As long as agents give a controller. */
const SILENT_MS = 3 * HEARTBEAT_MS;
/** A snapshot may be this old: deltas follow it anyway, and thousands may want one at once. */
const SNAPSHOT_AGE_MS = 1000;
const RESEND_MS = 30_000;
/** Of how many changes the time of publishing is remembered, to measure acknowledgements by. */
const REMEMBERED = 1024;

export class Hub {
  readonly #parts: HubParts;
  readonly #subscribers = new Map<string, Subscriber>();
  readonly #wake = new Trigger();
  readonly #published: { readonly crumb: Crumb; readonly atMs: number }[] = [];
  readonly #deltas = new Map<string, PlacedFrame | "snapshot" | undefined>();
  #snapshot: { readonly snapshot: Snapshot; readonly atMs: number } | undefined;
  #flushMs = 0;
  readonly #state: HubState;

  constructor(parts: HubParts) {
    this.#parts = parts;
    const { view, leader } = parts;
    this.#state = {
      chain: view.chain,
      snapshot: () => this.#freshSnapshot(),
      delta: (place) => this.#delta(place),
      get leader() {
        return leader();
      },
      get config() {
        return agentConfig(view);
      },
    };
  }

  get subscribers(): Iterable<Subscriber> {
    return this.#subscribers.values();
  }

  get size(): number {
    return this.#subscribers.size;
  }

  get(node: string): Subscriber | undefined {
    return this.#subscribers.get(node);
  }

  /** True when nothing will come from this stream any more, whatever TCP says. */
  isDead(subscriber: Subscriber): boolean {
    const nowMs = this.#parts.clock.monotonicMs();
    const busyMs = nowMs - (subscriber.busySinceMs ?? nowMs);
    return busyMs > STALLED_MS || nowMs - subscriber.heardMs > SILENT_MS;
  }

  /** From now on it hears of everything; Welcome must have been written already. */
  add(subscriber: Subscriber): void {
    this.#subscribers.set(subscriber.node, subscriber);
    this.#pump(subscriber);
  }

  /** To be called when the stream has ended; does nothing when another has taken its place. */
  remove(subscriber: Subscriber): void {
    if (this.#subscribers.get(subscriber.node) === subscriber) {
      this.#subscribers.delete(subscriber.node);
    }
  }

  /** Something became due for this subscriber alone: an answer. */
  kick(subscriber: Subscriber): void {
    this.#pump(subscriber);
  }

  acknowledged(subscriber: Subscriber, ack: Ack): void {
    const { view, clock, log, metrics } = this.#parts;
    const nowMs = clock.monotonicMs();
    const before = subscriber.applied?.revision ?? 0;
    subscriber.acknowledge(ack);
    const published = this.#published.findLast(({ crumb }) => crumb.revision === ack.revision);
    if (published !== undefined && ack.revision > before) {
      metrics.observe("twill_ack_seconds", {}, (nowMs - published.atMs) / 1000);
    }
    if (!subscriber.hasDiverged(ack, view.instance, view.chain)) return;
    if (!subscriber.mayResend(nowMs, RESEND_MS)) return;
    const { node } = subscriber;
    const message = `node ${node} applied another table than that of revision ${ack.revision}; it gets everything anew`;
    log.event("table.diverged", message, { key: node, node, revision: ack.revision });
    subscriber.forgetPlace();
    this.#pump(subscriber);
  }

  /** Runs until the signal; ends no stream. */
  async run(signal: AbortSignal): Promise<void> {
    const stopFollowing = this.#parts.view.onChange(({ change, isReset }) => {
      if (isReset) this.#startAnew();
      const isNews = change.upserts.length + change.removes.length > 0;
      if (isNews) this.#remember();
      if (isNews || isReset || change.configChanged) this.#wake.kick();
    });
    const group = new TaskGroup(signal);
    group.spawn((inner) => this.#flushForEver(inner));
    group.spawn((inner) => this.#tickForEver(inner));
    try {
      await group.join();
    } finally {
      stopFollowing();
    }
  }

  async #flushForEver(signal: AbortSignal): Promise<void> {
    const { clock } = this.#parts;
    for (;;) {
      await this.#wake.wait(signal);
      const windowMs = Math.min(Math.max(WINDOW_MS.min, 2 * this.#flushMs), WINDOW_MS.max);
      await clock.sleep(windowMs, signal);
      const startMs = clock.monotonicMs();
      await this.#flush();
      this.#flushMs = clock.monotonicMs() - startMs;
    }
  }

  async #flush(): Promise<void> {
    this.#deltas.clear();
    let inSlice = 0;
    for (const subscriber of [...this.#subscribers.values()]) {
      if (!subscriber.isBehind(this.#state)) continue;
      this.#pump(subscriber);
      inSlice += 1;
      if (inSlice < SLICE) continue;
      inSlice = 0;
      await this.#parts.yieldTurn();
    }
  }

  /** Bookmarks that are due, and streams that are over without having ended. */
  async #tickForEver(signal: AbortSignal): Promise<void> {
    const { clock } = this.#parts;
    for (;;) {
      await clock.sleep(TICK_MS, signal);
      const nowMs = clock.monotonicMs();
      for (const subscriber of [...this.#subscribers.values()]) {
        if (this.isDead(subscriber)) this.#evict(subscriber, nowMs);
        else if (nowMs >= subscriber.bookmarkDueMs) this.#pump(subscriber);
      }
    }
  }

  #evict(subscriber: Subscriber, nowMs: number): void {
    const { log, metrics } = this.#parts;
    const { node, address, busySinceMs, heardMs } = subscriber;
    const silentS = Math.round((nowMs - heardMs) / 1000);
    const reason =
      busySinceMs === undefined
        ? `sent nothing for ${silentS} s`
        : `read nothing for ${Math.round((nowMs - busySinceMs) / 1000)} s`;
    log.event("stream.evicted", `node ${node} at ${address} ${reason}; its connection is cut`, {
      key: node,
      node,
      address,
      reason,
    });
    metrics.add("twill_stream_ends_total", { reason: "evicted" });
    this.remove(subscriber);
    subscriber.outlet.end(new TwillError("STREAM_EVICTED", `evicted: ${reason}`));
    subscriber.outlet.destroy();
  }

  /** Writes what is next for one subscriber, unless a message of it is still on its way. */
  #pump(subscriber: Subscriber): void {
    if (subscriber.busySinceMs !== undefined) return;
    const { clock, metrics } = this.#parts;
    const nowMs = clock.monotonicMs();
    const message = subscriber.next(this.#state, nowMs, this.#bookmarkMs());
    if (message === undefined) return;
    subscriber.busySinceMs = nowMs;
    metrics.add("twill_sent_bytes_total", { kind: message.kind }, message.frame.length);
    subscriber.outlet.write(message.frame, () => {
      subscriber.busySinceMs = undefined;
      if (this.#subscribers.get(subscriber.node) !== subscriber) return;
      // More deltas wait for the next flush, so that many small ones become few large ones.
      if (message.isUrgent) this.#pump(subscriber);
      else if (subscriber.isBehind(this.#state)) this.#wake.kick();
    });
  }

  /** Made once for all who are at the same place. */
  #delta(place: Place): PlacedFrame | "snapshot" | undefined {
    const { chain } = this.#parts.view;
    if (place.sequence === chain.head.sequence) return undefined;
    const key = `${place.sequence} ${place.revision}`;
    const known = this.#deltas.get(key);
    if (known !== undefined) return known;
    const next = nextFor(place, chain);
    if (next.kind === "idle") return undefined;
    const made =
      next.kind === "snapshot" ? next.kind : { frame: encodeDelta(next.delta), place: next.place };
    this.#deltas.set(key, made);
    return made;
  }

  #freshSnapshot(): Snapshot {
    const { view, clock } = this.#parts;
    const nowMs = clock.monotonicMs();
    const known = this.#snapshot;
    const isFresh =
      known !== undefined &&
      nowMs - known.atMs < SNAPSHOT_AGE_MS &&
      view.chain.at(known.snapshot.sequence) !== undefined;
    if (isFresh) return known.snapshot;
    const snapshot = encodeSnapshot(view.published, view.chain.head);
    this.#snapshot = { snapshot, atMs: nowMs };
    return snapshot;
  }

  #startAnew(): void {
    this.#snapshot = undefined;
    this.#deltas.clear();
    for (const subscriber of this.#subscribers.values()) subscriber.forgetPlace();
  }

  #remember(): void {
    const { view, clock } = this.#parts;
    this.#published.push({ crumb: view.chain.head, atMs: clock.monotonicMs() });
    if (this.#published.length > 2 * REMEMBERED) this.#published.splice(0, REMEMBERED);
  }

  /** Spread, so that agents that came at once are not told at once for ever. */
  #bookmarkMs(): number {
    return BOOKMARK_MS * (0.8 + 0.4 * this.#parts.random());
  }
}
