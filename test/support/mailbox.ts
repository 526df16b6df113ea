/** Things that arrive, taken in order; whoever takes waits, but not for ever. */

const DEADLINE_MS = 15_000;

export class Mailbox<T> {
  readonly #items: T[] = [];
  #wake: (() => void) | undefined;

  put(item: T): void {
    this.#items.push(item);
    this.#wake?.();
  }

  get size(): number {
    return this.#items.length;
  }

  /** The next item; fails, naming `what`, when none arrives in time. */
  async take(what: string): Promise<T> {
    const [item] = this.#items;
    if (item !== undefined) {
      this.#items.shift();
      return item;
    }
    await this.#arrival(what);
    return this.take(what);
  }

  async #arrival(what: string): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const late = new Error(`waited ${DEADLINE_MS} ms for ${what}`);
      const timer = setTimeout(() => reject(late), DEADLINE_MS);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
