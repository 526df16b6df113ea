/**
 * A signal that is aborted when any of several is, until it is let go. Not AbortSignal.any:
 * on Node 20 that holds its sources so weakly that an AbortSignal.timeout among them is
 * collected and never fires (measured), and every use stays referenced by a long-lived source.
 */

export class LinkedSignal implements Disposable {
  readonly #controller = new AbortController();
  readonly #detach: (() => void)[] = [];

  constructor(...sources: readonly AbortSignal[]) {
    for (const source of sources) {
      const onAbort = (): void => this.abort(source.reason);
      source.addEventListener("abort", onAbort, { once: true });
      this.#detach.push(() => source.removeEventListener("abort", onAbort));
      if (source.aborted) onAbort();
    }
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Aborts this signal alone. */
  abort(reason?: unknown): void {
    this.#controller.abort(reason);
  }

  [Symbol.dispose](): void {
    for (const detach of this.#detach.splice(0)) detach();
  }
}
