/**
 * Ends a stream whose controller says nothing. HTTP/2 keep-alive sees that a process runs;
 * this sees that it still does its work (fanout-notes 10.8).
 */
import type { Clock } from "../../common/async/clock.ts";
import { kickOrTimeout } from "../../common/async/kick-or-timeout.ts";
import { Trigger } from "../../common/async/trigger.ts";
import { TwillError } from "../../common/errors.ts";

/** How many heartbeat intervals of silence are too many. */
const SILENT_INTERVALS = 3;
/** After a stall of this process what arrived meanwhile is read before the verdict. */
const GRACE_MS = 50;

export class SilenceGuard {
  readonly #clock: Clock;
  readonly #endpoint: string;
  readonly #limitChanged = new Trigger();
  #limitMs: number;
  #heardAtMs: number;

  /** `patienceMs`: from now to Welcome. */
  constructor(clock: Clock, endpoint: string, patienceMs: number) {
    this.#clock = clock;
    this.#endpoint = endpoint;
    this.#limitMs = patienceMs;
    this.#heardAtMs = clock.monotonicMs();
  }

  heard(): void {
    this.#heardAtMs = this.#clock.monotonicMs();
  }

  welcomed(heartbeatMs: number): void {
    this.#limitMs = heartbeatMs * SILENT_INTERVALS;
    this.#limitChanged.kick();
  }

  /** Throws CONTROLLER_UNAVAILABLE once the controller has been silent for too long. */
  async run(signal: AbortSignal): Promise<void> {
    for (;;) {
      const leftMs = this.#leftMs();
      if (leftMs > 0) {
        await kickOrTimeout(this.#limitChanged, leftMs, this.#clock, signal);
        continue;
      }
      await this.#clock.sleep(GRACE_MS, signal);
      if (this.#leftMs() > 0) continue;
      throw new TwillError(
        "CONTROLLER_UNAVAILABLE",
        `controller ${this.#endpoint} was silent for ${Math.round(this.#limitMs)} ms`,
        { context: { endpoint: this.#endpoint } },
      );
    }
  }

  #leftMs(): number {
    return this.#heardAtMs + this.#limitMs - this.#clock.monotonicMs();
  }
}
