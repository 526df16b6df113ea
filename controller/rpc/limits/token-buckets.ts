/**
 * How often something may happen: so many at once, then so many a second. Pure; time is an
 * argument, and memory is bounded whoever comes with however many names.
 */
export interface Rate {
  /** At once, after a rest. */
  readonly burst: number;
  readonly perSecond: number;
}

export class TokenBucket {
  readonly #rate: Rate;
  #tokens: number;
  #atMs: number;

  constructor(rate: Rate, nowMs: number) {
    this.#rate = rate;
    this.#tokens = rate.burst;
    this.#atMs = nowMs;
  }

  /** 0: taken. Otherwise nothing was, and there is one in so many milliseconds. */
  take(nowMs: number): number {
    this.#fill(nowMs);
    if (this.#tokens < 1) return Math.ceil(((1 - this.#tokens) * 1000) / this.#rate.perSecond);
    this.#tokens -= 1;
    return 0;
  }

  /** What was taken turned out to cost nothing. */
  giveBack(): void {
    this.#tokens = Math.min(this.#tokens + 1, this.#rate.burst);
  }

  isFull(nowMs: number): boolean {
    this.#fill(nowMs);
    return this.#tokens >= this.#rate.burst;
  }

  #fill(nowMs: number): void {
    const more = ((nowMs - this.#atMs) * this.#rate.perSecond) / 1000;
    this.#tokens = Math.min(this.#tokens + Math.max(more, 0), this.#rate.burst);
    this.#atMs = nowMs;
  }
}

/** Beyond it the one that was first seen longest ago is forgotten. */
const MAX_KEYS = 16_384;

/** A bucket for each of many; who has not been seen for long has a full one, which is not kept. */
export class TokenBuckets {
  readonly #rate: Rate;
  readonly #maxKeys: number;
  readonly #buckets = new Map<string, TokenBucket>();

  constructor(rate: Rate, maxKeys = MAX_KEYS) {
    this.#rate = rate;
    this.#maxKeys = maxKeys;
  }

  get size(): number {
    return this.#buckets.size;
  }

  /** As TokenBucket.take. */
  take(key: string, nowMs: number): number {
    return this.#of(key, nowMs).take(nowMs);
  }

  giveBack(key: string): void {
    this.#buckets.get(key)?.giveBack();
  }

  #of(key: string, nowMs: number): TokenBucket {
    const known = this.#buckets.get(key);
    if (known !== undefined) return known;
    if (this.#buckets.size >= this.#maxKeys) this.#makeRoom(nowMs);
    const bucket = new TokenBucket(this.#rate, nowMs);
    this.#buckets.set(key, bucket);
    return bucket;
  }

  #makeRoom(nowMs: number): void {
    for (const [key, bucket] of this.#buckets) {
      if (bucket.isFull(nowMs)) this.#buckets.delete(key);
    }
    const [oldest] = this.#buckets.keys();
    if (this.#buckets.size >= this.#maxKeys && oldest !== undefined) this.#buckets.delete(oldest);
  }
}
