/**
 * How often the same object is repaired. The first repairs are immediate; when another daemon
 * undoes them again and again, each further one waits twice as long, so that two programs that
 * disagree cost the machine nothing. Calm forgives. Pure.
 */

/** Repairs of one object that are made without delay. */
export const FREE_REPAIRS = 5;
/** The first delay after them, and the longest. */
const FIRST_HOLD_MS = 1_000;
const LONGEST_HOLD_MS = 30_000;
/** An object untouched for so long starts afresh. */
export const CALM_MS = 60_000;

interface Pace {
  readonly count: number;
  readonly lastMs: number;
  readonly heldUntilMs: number;
}

export class RepairPace {
  readonly #paces = new Map<string, Pace>();

  /** Notes a repair; true when it is the one after which repairs are slowed down. */
  repaired(id: string, nowMs: number): boolean {
    const before = this.#paces.get(id);
    const isCalm = before === undefined || nowMs - before.lastMs >= CALM_MS;
    const count = isCalm ? 1 : before.count + 1;
    const beyond = count - FREE_REPAIRS;
    const hold = beyond < 0 ? 0 : Math.min(FIRST_HOLD_MS * 2 ** beyond, LONGEST_HOLD_MS);
    this.#paces.set(id, { count, lastMs: nowMs, heldUntilMs: nowMs + hold });
    return beyond === 0;
  }

  isHeld(id: string, nowMs: number): boolean {
    return this.heldUntilMs(id, nowMs) !== undefined;
  }

  /** undefined: it may be repaired now. Who puts a repair off by this must come back then. */
  heldUntilMs(id: string, nowMs: number): number | undefined {
    const heldUntilMs = this.#paces.get(id)?.heldUntilMs ?? nowMs;
    return heldUntilMs > nowMs ? heldUntilMs : undefined;
  }

  /** Forgets the calm. */
  tidy(nowMs: number): void {
    for (const [id, { lastMs }] of this.#paces) {
      if (nowMs - lastMs >= CALM_MS) this.#paces.delete(id);
    }
  }
}
