/**
 * Drift from its first notice to its repair, so that each case is told once: what should have
 * been there, what was found, and how long it took. Pure.
 */

export interface RepairedDrift {
  readonly key: string;
  readonly expected: string;
  readonly found: string;
  readonly noticedMs: number;
}

export class DriftBook {
  readonly #open = new Map<string, RepairedDrift>();
  #repaired: RepairedDrift[] = [];

  get size(): number {
    return this.#open.size;
  }

  /** The first notice counts: a repair takes its time from there. */
  start(drift: RepairedDrift): void {
    if (!this.#open.has(drift.key)) this.#open.set(drift.key, drift);
  }

  /** We put it right. */
  repaired(key: string): void {
    const drift = this.#open.get(key);
    if (drift === undefined) return;
    this.#open.delete(key);
    this.#repaired.push(drift);
  }

  /** It is right again, or no longer wanted, by no doing of ours. */
  drop(key: string): void {
    this.#open.delete(key);
  }

  dropWhere(isOver: (key: string) => boolean): void {
    for (const key of [...this.#open.keys()]) if (isOver(key)) this.#open.delete(key);
  }

  has(key: string): boolean {
    return this.#open.has(key);
  }

  /** What was repaired since the last call. */
  take(): readonly RepairedDrift[] {
    const repaired = this.#repaired;
    this.#repaired = [];
    return repaired;
  }
}
