/**
 * Who gives out and takes back leases, as a port of types: this replica when it leads
 * (lease-service.ts), the leader over gRPC otherwise.
 */
import type { ErrorCode, TwillError } from "../../common/errors.ts";
import type { RegistrationRequest } from "./decide.ts";
import type { HeldLease } from "./lease-book.ts";

export interface Refused {
  readonly kind: "refused";
  readonly code: ErrorCode;
  /** For the operator; names the parties and the way out. */
  readonly message: string;
  /** 0: only after a change. */
  readonly retryAfterMs: number;
}

export interface Registered {
  readonly kind: "registered";
  readonly lease: HeldLease["lease"];
  /** 0: a reservation. */
  readonly ttlSeconds: number;
  /** The subnet is the one asked for or held before. */
  readonly reused: boolean;
}

export interface Released {
  readonly kind: "released";
  readonly key: string;
}

export interface Allocator {
  /** Never rejects but for the signal's reason: what goes wrong is an answer. */
  register(request: RegistrationRequest, signal: AbortSignal): Promise<Registered | Refused>;
  release(node: string, signal: AbortSignal): Promise<Released | Refused>;
}

/** When asking again makes sense: soon for what mends itself, later for what people must mend. */
const RETRY_AFTER_MS: Partial<Record<ErrorCode, number>> = {
  NOT_LEADER: 500,
  CONTROLLER_UNAVAILABLE: 500,
  STORE_UNAVAILABLE: 2000,
  STORE_TIMEOUT: 2000,
  OPTION_INVALID: 0,
  CONFIG_MISSING: 5000,
  CONFIG_INVALID: 5000,
  LEASE_CONFLICT: 10_000,
  NODE_DRAINED: 3000,
};
const RETRY_AFTER_OTHER_MS = 30_000;

export function refused(code: ErrorCode, message: string): Refused {
  const retryAfterMs = RETRY_AFTER_MS[code] ?? RETRY_AFTER_OTHER_MS;
  return { kind: "refused", code, message, retryAfterMs };
}

export function refusedBy(error: TwillError): Refused {
  return refused(error.code, error.message);
}
