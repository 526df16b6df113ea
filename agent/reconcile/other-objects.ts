/**
 * What stands in the kernel and should not, by key: under a desired key it is in the way, under
 * another it is left over. The kernel may keep several objects under one key (two remotes of
 * one MAC); they stay in the order in which they were listed. Pure.
 */

export interface OtherObject<Spec> {
  readonly spec: Spec;
  readonly text: string;
  /** Ours to delete when nothing is desired under its key. */
  readonly isOurs: boolean;
}

export class OtherObjects<Spec> {
  readonly #byKey = new Map<string, readonly OtherObject<Spec>[]>();

  keys(): string[] {
    return [...this.#byKey.keys()];
  }

  entries(): IterableIterator<[string, readonly OtherObject<Spec>[]]> {
    return this.#byKey.entries();
  }

  has(key: string): boolean {
    return this.#byKey.has(key);
  }

  of(key: string): readonly OtherObject<Spec>[] {
    return this.#byKey.get(key) ?? [];
  }

  includes(key: string, text: string): boolean {
    return this.of(key).some((other) => other.text === text);
  }

  /** The newest stands first. */
  unshift(key: string, other: OtherObject<Spec>): void {
    this.#byKey.set(key, [other, ...this.of(key)]);
  }

  push(key: string, other: OtherObject<Spec>): void {
    this.#byKey.set(key, [...this.of(key), other]);
  }

  /** Takes the one with this text away; false when there is none. */
  remove(key: string, text: string): boolean {
    const rest = this.of(key).filter((other) => other.text !== text);
    const found = rest.length < this.of(key).length;
    this.#store(key, rest);
    return found;
  }

  /** A put has replaced the first. */
  shift(key: string): void {
    this.#store(key, this.of(key).slice(1));
  }

  clear(key: string): void {
    this.#byKey.delete(key);
  }

  copy(): ReadonlyMap<string, readonly OtherObject<Spec>[]> {
    return new Map(this.#byKey);
  }

  #store(key: string, others: readonly OtherObject<Spec>[]): void {
    if (others.length === 0) this.#byKey.delete(key);
    else this.#byKey.set(key, others);
  }
}
