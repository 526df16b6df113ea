/**
 * The page's line to a controller: one event stream, and another controller's when it is lost.
 * A stream that says nothing for a while is lost too, whatever TCP says. What was known stays
 * on the page, with the time it was known.
 */
import { type Cluster, fold, fromSnapshot } from "../model/cluster.ts";
import { hearFrom } from "./speaker.ts";
import { readDelta, readSnapshot } from "./wire.ts";

export type LinkState =
  | { readonly kind: "connecting" }
  | { readonly kind: "live"; readonly origin: string }
  /** `sinceMs`: of the browser's clock, when it was last heard of. */
  | { readonly kind: "lost"; readonly sinceMs: number; readonly trying: string };

export interface LinkListener {
  readonly state: (state: LinkState) => void;
  readonly cluster: (cluster: Cluster) => void;
}

/** Controllers say something every 2 s. */
const SILENT_MS = 6000;
const AGAIN_MS = 1000;

export class Link {
  readonly #own: string;
  readonly #listener: LinkListener;
  #origins: readonly string[];
  #turn = 0;
  #source: EventSource | undefined;
  #silence: number | undefined;
  #again: number | undefined;
  #cluster: Cluster | undefined;
  #isLive = false;
  #heardMs = Date.now();

  /** `own`: origin of the page. */
  constructor(own: string, listener: LinkListener) {
    this.#own = own;
    this.#origins = [own];
    this.#listener = listener;
  }

  open(): void {
    const origin = this.#origins[this.#turn % this.#origins.length] ?? this.#own;
    this.#close();
    const source = new EventSource(`${origin}/api/events`, { withCredentials: true });
    this.#source = source;
    this.#expectNews();
    source.addEventListener("snapshot", (event) => {
      this.#take(fromSnapshot(readSnapshot(event.data)), origin);
    });
    source.addEventListener("delta", (event) => {
      const delta = readDelta(event.data);
      const folded = this.#cluster === undefined ? undefined : fold(this.#cluster, delta);
      if (folded === undefined) this.open();
      else this.#take(folded, origin);
    });
    source.addEventListener("error", () => this.#lost());
  }

  #take(cluster: Cluster, origin: string): void {
    this.#cluster = cluster;
    this.#heardMs = Date.now();
    this.#expectNews();
    this.#listener.cluster(cluster);
    const consoles = cluster.head.controllers.map(({ console }) => console).filter(Boolean);
    const others = [...new Set([...consoles, this.#own])].filter((other) => other !== origin);
    // The one that was lost is asked between the others: it may only have been started anew.
    this.#origins = others.length === 0 ? [origin] : others.flatMap((other) => [origin, other]);
    this.#turn = 0;
    if (this.#isLive) return;
    this.#isLive = true;
    hearFrom(origin);
    this.#listener.state({ kind: "live", origin });
  }

  #lost(): void {
    this.#close();
    this.#isLive = false;
    this.#turn += 1;
    const trying = this.#origins[this.#turn % this.#origins.length] ?? this.#own;
    if (this.#cluster !== undefined) {
      this.#listener.state({ kind: "lost", sinceMs: this.#heardMs, trying });
    }
    this.#again = window.setTimeout(() => this.open(), AGAIN_MS);
  }

  #expectNews(): void {
    window.clearTimeout(this.#silence);
    this.#silence = window.setTimeout(() => this.#lost(), SILENT_MS);
  }

  #close(): void {
    window.clearTimeout(this.#silence);
    window.clearTimeout(this.#again);
    this.#source?.close();
    this.#source = undefined;
  }
}
