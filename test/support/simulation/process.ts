/**
 * A simulated process: it can be stopped (SIGSTOP: nothing of it runs, the world goes on) and
 * killed, and its wall clock can be set. Everything that wakes code of it passes its gate.
 */
import type { Clock } from "../../../common/async/clock.ts";
import type { ManualClock } from "../manual-clock.ts";

export class SimulatedProcess implements Clock {
  readonly name: string;
  readonly #world: ManualClock;
  readonly #kill = new AbortController();
  readonly #waiting = new Set<() => void>();
  #isStopped = false;
  #wallOffsetMs = 0;

  constructor(name: string, world: ManualClock) {
    this.name = name;
    this.#world = world;
  }

  /** Aborted by kill. */
  get killed(): AbortSignal {
    return this.#kill.signal;
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }

  stop(): void {
    this.#isStopped = true;
  }

  continue(): void {
    this.#isStopped = false;
    for (const wake of [...this.#waiting]) wake();
    this.#waiting.clear();
  }

  kill(): void {
    this.#kill.abort(new Error(`${this.name} was killed`));
    this.continue();
  }

  jumpWall(ms: number): void {
    this.#wallOffsetMs += ms;
  }

  monotonicMs(): number {
    return this.#world.monotonicMs();
  }

  wallMs(): number {
    return this.#world.wallMs() + this.#wallOffsetMs;
  }

  async sleep(ms: number, signal: AbortSignal): Promise<void> {
    await this.#world.sleep(ms, signal);
    await this.gate();
    signal.throwIfAborted();
  }

  /** Where code of the process goes on: at once, or when it is continued. */
  async gate(): Promise<void> {
    while (this.#isStopped) {
      await new Promise<void>((resolve) => {
        this.#waiting.add(resolve);
      });
    }
  }
}
