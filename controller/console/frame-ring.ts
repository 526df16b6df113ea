/**
 * The last frames of the live stream, encoded once and shared by all viewers. A viewer only
 * holds its place, a number; who falls off the old end gets a snapshot. Bounded by count and
 * by bytes, so a page that does not read costs nothing but its socket.
 */
export interface RingLimits {
  readonly maxFrames: number;
  readonly maxBytes: number;
}

/** A minute of four frames a second; a frame in which 1,000 nodes changed has 300 kB. */
export const DEFAULT_RING_LIMITS: RingLimits = { maxFrames: 240, maxBytes: 8 * 1024 * 1024 };

export class FrameRing {
  readonly #limits: RingLimits;
  readonly #frames: Uint8Array[] = [];
  #bytes = 0;
  #head = 0;

  constructor(limits: RingLimits = DEFAULT_RING_LIMITS) {
    this.#limits = limits;
  }

  /** Sequence of the newest frame; 0: there was none yet. */
  get head(): number {
    return this.#head;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** The frame becomes number `head + 1`. */
  push(frame: Uint8Array): void {
    this.#frames.push(frame);
    this.#bytes += frame.length;
    this.#head += 1;
    while (this.#isOver()) this.#bytes -= this.#frames.shift()?.length ?? 0;
  }

  /** undefined: it has been forgotten, or is not there yet. */
  at(sequence: number): Uint8Array | undefined {
    return this.#frames[sequence - this.#head + this.#frames.length - 1];
  }

  #isOver(): boolean {
    const { maxFrames, maxBytes } = this.#limits;
    return this.#frames.length > maxFrames || (this.#bytes > maxBytes && this.#frames.length > 1);
  }
}
