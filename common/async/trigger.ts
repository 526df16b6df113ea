/**
 * Many kicks, one pending wake. A kick during a pass means one more pass; a hundred
 * kicks before a pass mean one pass. One waiter at a time.
 */
import { TwillError } from "../errors.ts";

export class Trigger {
  #pending = false;
  #wake: (() => void) | undefined;

  kick(): void {
    this.#pending = true;
    this.#wake?.();
  }

  get isPending(): boolean {
    return this.#pending;
  }

  /** Resolves at once when a kick is pending, else at the next; consumes it. Rejects on abort. */
  async wait(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#wake !== undefined) throw new TwillError("BUG", "a trigger has one waiter at a time");
    if (!this.#pending) {
      await new Promise<void>((resolve, reject) => {
        const onAbort = (): void => {
          this.#wake = undefined;
          reject(signal.reason instanceof Error ? signal.reason : new Error("aborted"));
        };
        this.#wake = () => {
          this.#wake = undefined;
          signal.removeEventListener("abort", onAbort);
          resolve();
        };
        signal.addEventListener("abort", onAbort, { once: true });
      });
    }
    this.#pending = false;
  }
}
