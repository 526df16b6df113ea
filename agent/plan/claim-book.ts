/**
 * Who claims what only one peer can have. The holder is the claimant with the lowest lease
 * key: a rule that needs no history, so every node and every restart decides alike.
 */
export class ClaimBook {
  /** Nearly every claim has one claimant, which is then held without a list. */
  readonly #claimants = new Map<string, string | readonly string[]>();

  add(claim: string, key: string): void {
    const all = this.#of(claim);
    if (!all.includes(key)) this.#store(claim, [...all, key].sort());
  }

  remove(claim: string, key: string): void {
    this.#store(
      claim,
      this.#of(claim).filter((claimant) => claimant !== key),
    );
  }

  /** True when `key` claims it and nobody with a lower key does. */
  holds(claim: string, key: string): boolean {
    return this.#of(claim)[0] === key;
  }

  /** Everybody else who claims it, lowest first. */
  rivals(claim: string, key: string): readonly string[] {
    return this.#of(claim).filter((claimant) => claimant !== key);
  }

  #of(claim: string): readonly string[] {
    const found = this.#claimants.get(claim);
    return found === undefined ? [] : typeof found === "string" ? [found] : found;
  }

  #store(claim: string, keys: readonly string[]): void {
    const [only, ...more] = keys;
    if (only === undefined) this.#claimants.delete(claim);
    else this.#claimants.set(claim, more.length === 0 ? only : keys);
  }
}
