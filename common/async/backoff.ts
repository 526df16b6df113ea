/** Retry delays as a pure function of the attempt. */

export interface BackoffPolicy {
  /** Delay before the second attempt. */
  readonly initialMs: number;
  /** The delay grows to this; with its jitter none is longer than maxMs × (1 + jitter). */
  readonly maxMs: number;
  /** Growth per attempt. */
  readonly factor: number;
  /** Share of the delay that is random: 0.2 means ±20 %. */
  readonly jitter: number;
}

/**
 * Delay before attempt `attempt + 1`, where `attempt` counts from 0, jittered so that a
 * fleet does not retry in step. `random` is uniform in [0, 1).
 */
export function backoffMs(policy: BackoffPolicy, attempt: number, random: number): number {
  const plain = Math.min(policy.initialMs * policy.factor ** Math.min(attempt, 64), policy.maxMs);
  return plain * (1 + policy.jitter * (2 * random - 1));
}
