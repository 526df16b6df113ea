/**
 * Whether and when a failed call is tried again; pure. Reads go on within a budget: at once
 * while an endpoint is left that is not known to be bad, with back-off when all are. Writes
 * are repeated only when the failed attempt surely did nothing, else their outcome is
 * unknown and the caller must look (STORE_TIMEOUT).
 */
import { type BackoffPolicy, backoffMs } from "../../common/async/backoff.ts";
import { TwillError } from "../../common/errors.ts";
import type { EtcdFault } from "./etcd-errors.ts";

export type CallMode = "read" | "write";

export interface RetryPolicy {
  /** No attempt begins later than this after the first. */
  readonly budgetMs: number;
  readonly backoff: BackoffPolicy;
}

export const ETCD_BACKOFF: BackoffPolicy = {
  initialMs: 100,
  maxMs: 2_000,
  factor: 2,
  jitter: 0.3,
};

/** A raft election takes etcd one to four seconds (measured); a read should outlast it. */
export const ETCD_RETRY: RetryPolicy = { budgetMs: 10_000, backoff: ETCD_BACKOFF };

export interface FailedAttempt {
  readonly mode: CallMode;
  readonly fault: EtcdFault;
  /** Attempts that failed before this one. */
  readonly attempt: number;
  readonly elapsedMs: number;
  /** An endpoint is left that is not known to be bad. */
  readonly hasGoodEndpoint: boolean;
  /** Uniform in [0, 1). */
  readonly random: number;
}

export type RetryDecision =
  | { readonly kind: "again"; readonly delayMs: number }
  | { readonly kind: "stop"; readonly error: TwillError };

/** A token may end between two attempts, but not again and again. */
const MAX_STALE_TOKENS = 3;

export function decideRetry(policy: RetryPolicy, failed: FailedAttempt): RetryDecision {
  const { fault, mode, attempt } = failed;
  const stop: RetryDecision = { kind: "stop", error: stopError(fault, mode) };
  if (!fault.retry) return stop;
  if (mode === "write" && !fault.unsent) return stop;
  if (fault.staleToken && attempt >= MAX_STALE_TOKENS) return stop;
  const atOnce = fault.staleToken || (fault.blame && failed.hasGoodEndpoint);
  const delayMs = atOnce ? 0 : backoffMs(policy.backoff, attempt, failed.random);
  return failed.elapsedMs + delayMs > policy.budgetMs ? stop : { kind: "again", delayMs };
}

function stopError(fault: EtcdFault, mode: CallMode): TwillError {
  const { error } = fault;
  if (mode === "read" || fault.unsent || error.code !== "STORE_UNAVAILABLE") return error;
  return new TwillError("STORE_TIMEOUT", `${error.message}; whether it was written is unknown`, {
    cause: error,
    context: error.context,
  });
}
