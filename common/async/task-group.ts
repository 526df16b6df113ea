/**
 * Loops that live and die together: the first failure aborts the siblings, `join`
 * returns when all have ended and rethrows that first failure. Nothing runs outside a group.
 */
import { setMaxListeners } from "node:events";

export class TaskGroup {
  readonly #controller = new AbortController();
  readonly #tasks = new Set<Promise<void>>();
  readonly #detach: () => void;
  #failure: { error: unknown } | undefined;

  constructor(parent?: AbortSignal) {
    // Every task listens, and so does all it waits for; that is no leak.
    setMaxListeners(0, this.#controller.signal);
    // A group's signal is there to be waited on by many: Node's warning at 11 means nothing here.
    setMaxListeners(0, this.#controller.signal);
    const onAbort = (): void => this.#controller.abort(parent?.reason);
    parent?.addEventListener("abort", onAbort, { once: true });
    this.#detach = () => parent?.removeEventListener("abort", onAbort);
    if (parent?.aborted) onAbort();
  }

  /** Aborted when the parent is, when a task fails, or by `abort`. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  spawn(task: (signal: AbortSignal) => Promise<void>): void {
    const running = this.#run(task).finally(() => this.#tasks.delete(running));
    this.#tasks.add(running);
  }

  abort(reason?: unknown): void {
    this.#controller.abort(reason);
  }

  /** Waits for every task, also those spawned meanwhile; an abort is not a failure. */
  async join(): Promise<void> {
    while (this.#tasks.size > 0) await Promise.all(this.#tasks);
    this.#detach();
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  async #run(task: (signal: AbortSignal) => Promise<void>): Promise<void> {
    try {
      await task(this.signal);
    } catch (error) {
      if (this.signal.aborted) return;
      this.#failure ??= { error };
      this.#controller.abort(error);
    }
  }
}
