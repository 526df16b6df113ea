/**
 * Which endpoint the next call goes to. One is used until it fails; one that failed is
 * avoided for a while, so that a hung or isolated member is met once and not by one call in
 * three. When all have failed, the one whose failure is oldest comes next. Pure: time is an
 * argument. Replicas start at different endpoints by their random number.
 */

/** How long a failed endpoint is avoided while another one works. */
export const AVOID_MS = 10_000;

export class Endpoints {
  readonly all: readonly string[];
  /** In the order of the failures: times alone do not order those of one millisecond. */
  readonly #failedMs = new Map<string, number>();
  #current: string;

  /** `random` is uniform in [0, 1); `all` is not empty. */
  constructor(all: readonly string[], random: number) {
    this.all = all;
    this.#current = all[Math.floor(random * all.length)] ?? "";
  }

  choose(nowMs: number): string {
    if (!this.isAvoided(this.#current, nowMs)) return this.#current;
    const [oldest] = this.#failedMs.keys();
    const unfailed = this.all.find((endpoint) => !this.#failedMs.has(endpoint));
    this.#current = unfailed ?? oldest ?? this.#current;
    return this.#current;
  }

  failed(endpoint: string, nowMs: number): void {
    this.#failedMs.delete(endpoint);
    this.#failedMs.set(endpoint, nowMs);
  }

  succeeded(endpoint: string): void {
    this.#failedMs.delete(endpoint);
  }

  isAvoided(endpoint: string, nowMs: number): boolean {
    return nowMs - this.#failed(endpoint) < AVOID_MS;
  }

  /** Whether a call would go to an endpoint that is not known to be bad. */
  hasGood(nowMs: number): boolean {
    return this.all.some((endpoint) => !this.isAvoided(endpoint, nowMs));
  }

  #failed(endpoint: string): number {
    return this.#failedMs.get(endpoint) ?? Number.NEGATIVE_INFINITY;
  }
}
