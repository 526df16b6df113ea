/**
 * One page's event stream: a place in the ring and at most one frame on its way. No queue; a
 * page that reads slowly skips to a snapshot, one that does not read is cut off.
 */
import type { ConsoleFeed } from "./console-feed.ts";
import { encodeFrame } from "./console-feed.ts";

/** As much of a ServerResponse as it takes. */
export interface StreamEnd {
  /** `flushed` is called when the frame has left for the kernel. */
  write(frame: Uint8Array, flushed: () => void): unknown;
  destroy(): unknown;
}

/** A write that takes longer: the page does not read. */
const STALLED_MS = 20_000;

export interface ViewerParts {
  readonly nowMs: () => number;
  /** False when its certificate does not count any more. */
  readonly isWelcome: () => boolean;
}

export class Viewer {
  readonly #feed: ConsoleFeed;
  readonly #end: StreamEnd;
  readonly #parts: ViewerParts;
  /** Sequence of the last frame written; undefined: it gets a snapshot. */
  #place: number | undefined;
  #busySinceMs: number | undefined;
  #isOver = false;

  constructor(feed: ConsoleFeed, end: StreamEnd, parts: ViewerParts) {
    this.#feed = feed;
    this.#end = end;
    this.#parts = parts;
  }

  /** Writes what is next, unless a frame is still on its way. */
  pump(): void {
    if (this.#isOver) return;
    if (!this.#parts.isWelcome()) {
      this.#end.destroy();
      return;
    }
    if (this.#busySinceMs !== undefined) {
      if (this.#parts.nowMs() - this.#busySinceMs > STALLED_MS) this.#end.destroy();
      return;
    }
    const frame = this.#next();
    if (frame === undefined) return;
    this.#busySinceMs = this.#parts.nowMs();
    this.#end.write(frame, () => {
      this.#busySinceMs = undefined;
      this.pump();
    });
  }

  /** Nothing is written any more. */
  over(): void {
    this.#isOver = true;
  }

  #next(): Uint8Array | undefined {
    const { ring } = this.#feed;
    if (this.#place === ring.head) return undefined;
    const frame = this.#place === undefined ? undefined : ring.at(this.#place + 1);
    if (this.#place !== undefined && frame !== undefined) {
      this.#place += 1;
      return frame;
    }
    const { sequence, json } = this.#feed.snapshot();
    this.#place = sequence;
    return encodeFrame("snapshot", json);
  }
}
