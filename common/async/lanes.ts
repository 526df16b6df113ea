/** Work with the same key runs one after the other, in order; different keys run side by side. */
export class Lanes {
  readonly #tails = new Map<string, Promise<void>>();

  /** How many keys have work. */
  get busy(): number {
    return this.#tails.size;
  }

  async run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(key) ?? Promise.resolve();
    const result = before.then(work);
    // The next in the lane waits for the end, however it came.
    const tail = result.then(
      () => undefined,
      () => undefined,
    );
    this.#tails.set(key, tail);
    try {
      return await result;
    } finally {
      if (this.#tails.get(key) === tail) this.#tails.delete(key);
    }
  }
}
