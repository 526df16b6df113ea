/**
 * One error class and one closed set of codes. The traits table is the only place that
 * says what a code means for retry, gRPC status, log level and exit code; the compiler
 * demands a row per code. Expected outcomes are values, not throws.
 */
import { inspect } from "node:util";

export type Retry = "now" | "backoff" | "never";

/** gRPC status by name: `common/` imports no grpc-js. */
export type StatusName =
  | "INVALID_ARGUMENT"
  | "ALREADY_EXISTS"
  | "FAILED_PRECONDITION"
  | "RESOURCE_EXHAUSTED"
  | "UNAVAILABLE"
  | "DEADLINE_EXCEEDED"
  | "PERMISSION_DENIED"
  | "UNAUTHENTICATED"
  | "ABORTED"
  | "UNIMPLEMENTED"
  | "INTERNAL"
  | "CANCELLED";

export interface ErrorTraits {
  readonly retry: Retry;
  readonly status: StatusName;
  readonly level: "error" | "warn" | "info";
  /** Exit code when the error ends the process. */
  readonly exit: number;
}

const row = (
  retry: Retry,
  status: StatusName,
  level: ErrorTraits["level"],
  exit = 1,
): ErrorTraits => ({ retry, status, level, exit });

export const ERROR_TRAITS = {
  /** Bad command line, environment or file given by the operator. */
  OPTION_INVALID: row("never", "INVALID_ARGUMENT", "error", 2),
  CONFIG_INVALID: row("backoff", "FAILED_PRECONDITION", "error"),
  CONFIG_MISSING: row("backoff", "FAILED_PRECONDITION", "warn"),
  LEASE_EXHAUSTED: row("backoff", "RESOURCE_EXHAUSTED", "error"),
  /** Somebody else holds the subnet or the public address that was claimed. */
  LEASE_CONFLICT: row("backoff", "ALREADY_EXISTS", "error"),
  /** Somebody else holds the subnet that a node used before; asking without it gets another. */
  SUBNET_TAKEN: row("backoff", "ALREADY_EXISTS", "error"),
  /** An operator keeps the node away until it is let in again. */
  NODE_DRAINED: row("backoff", "FAILED_PRECONDITION", "warn"),
  /** What a plan stood on has changed since it was shown. */
  PLAN_STALE: row("never", "ABORTED", "info"),
  LEASE_LOST: row("now", "ABORTED", "error"),
  STORE_UNAVAILABLE: row("backoff", "UNAVAILABLE", "warn"),
  STORE_TIMEOUT: row("backoff", "DEADLINE_EXCEEDED", "warn"),
  STORE_COMPACTED: row("now", "ABORTED", "info"),
  STORE_DENIED: row("backoff", "PERMISSION_DENIED", "error"),
  STORE_FULL: row("backoff", "RESOURCE_EXHAUSTED", "error"),
  NOT_LEADER: row("backoff", "FAILED_PRECONDITION", "info"),
  /** A guarded write met another leader's fencing token. */
  FENCED: row("now", "ABORTED", "warn"),
  STREAM_EVICTED: row("now", "ABORTED", "warn"),
  /** The stream's next change does not follow the table that is held. */
  STREAM_GAP: row("now", "ABORTED", "warn"),
  PROTOCOL_VIOLATION: row("backoff", "INVALID_ARGUMENT", "warn"),
  CONTROLLER_UNAVAILABLE: row("backoff", "UNAVAILABLE", "warn"),
  /** A node cannot be asked now; the message says why. */
  NODE_UNAVAILABLE: row("backoff", "UNAVAILABLE", "info"),
  IDENTITY_REFUSED: row("backoff", "PERMISSION_DENIED", "error"),
  UNAUTHENTICATED: row("backoff", "UNAUTHENTICATED", "error"),
  /** This controller gives out no certificates. */
  ENROLMENT_OFF: row("never", "FAILED_PRECONDITION", "error"),
  /** More connections, calls or messages than one peer may have. */
  LIMIT_REACHED: row("backoff", "RESOURCE_EXHAUSTED", "warn"),
  INTERFACE_NOT_FOUND: row("backoff", "FAILED_PRECONDITION", "error"),
  KERNEL_REFUSED: row("backoff", "INTERNAL", "warn"),
  /** The kernel lacks a module, link type or feature. */
  KERNEL_UNSUPPORTED: row("backoff", "FAILED_PRECONDITION", "error"),
  /** A device of our name is not ours to touch. */
  DEVICE_FOREIGN: row("backoff", "FAILED_PRECONDITION", "error"),
  BACKEND_UNSUPPORTED: row("never", "UNIMPLEMENTED", "error"),
  COMMAND_FAILED: row("backoff", "INTERNAL", "warn"),
  /** An address or port to serve on cannot be had. */
  LISTEN_FAILED: row("backoff", "INTERNAL", "error"),
  FILE_FAILED: row("backoff", "INTERNAL", "error"),
  SHUTTING_DOWN: row("never", "UNAVAILABLE", "info", 0),
  BUG: row("never", "INTERNAL", "error", 70),
} as const satisfies Record<string, ErrorTraits>;

export type ErrorCode = keyof typeof ERROR_TRAITS;

export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(ERROR_TRAITS, text);
}

/** Plain data for the log; never secrets. */
export type ErrorContext = Readonly<Record<string, string | number | boolean>>;

export interface ErrorDetails {
  readonly cause?: unknown;
  readonly context?: ErrorContext;
}

/** `message` is for the operator: what failed, on what, and the way out. */
export class TwillError extends Error {
  override readonly name = "TwillError";
  readonly code: ErrorCode;
  readonly context: ErrorContext;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.context = details.context ?? {};
  }

  get traits(): ErrorTraits {
    return ERROR_TRAITS[this.code];
  }

  /** The single funnel for what `catch` hands over: anything unknown is a BUG. */
  static from(error: unknown): TwillError {
    if (error instanceof TwillError) return error;
    const message = error instanceof Error ? error.message : String(error);
    return new TwillError("BUG", message, { cause: error });
  }
}

/** Closes a switch over a union: the compiler shows the forgotten member. */
export function assertNever(value: never): never {
  throw new TwillError("BUG", `unexpected value ${inspect(value)}`);
}
