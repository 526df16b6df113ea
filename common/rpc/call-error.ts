/**
 * The end of a call as a TwillError: the one place that reads the gRPC statuses of calls to
 * controllers, whoever makes them. A controller's own code (trailer twill-code) beats the
 * status it travelled in.
 */
import { type Metadata, status } from "@grpc/grpc-js";
import { type ErrorCode, isErrorCode, TwillError } from "../errors.ts";

/** Trailer that carries a code of common/errors.ts. */
export const CODE_TRAILER = "twill-code";

const CODES: ReadonlyMap<number, ErrorCode> = new Map<number, ErrorCode>([
  // The other end answered, but not as a controller does.
  [status.UNIMPLEMENTED, "CONTROLLER_UNAVAILABLE"],
  [status.UNAVAILABLE, "CONTROLLER_UNAVAILABLE"],
  [status.DEADLINE_EXCEEDED, "CONTROLLER_UNAVAILABLE"],
  [status.CANCELLED, "CONTROLLER_UNAVAILABLE"],
  [status.UNAUTHENTICATED, "UNAUTHENTICATED"],
  [status.PERMISSION_DENIED, "IDENTITY_REFUSED"],
  // grpc-js: "Received message larger than max (n vs 4194304)".
  [status.RESOURCE_EXHAUSTED, "PROTOCOL_VIOLATION"],
  // grpc-js: a message that the codec refused.
  [status.INTERNAL, "PROTOCOL_VIOLATION"],
  [status.INVALID_ARGUMENT, "PROTOCOL_VIOLATION"],
  [status.ABORTED, "STREAM_EVICTED"],
]);

export function fromCallError(error: unknown, endpoint: string): TwillError {
  if (error instanceof TwillError) return error;
  if (!isServiceError(error)) return TwillError.from(error);
  const own = error.metadata.get(CODE_TRAILER)[0];
  const code =
    typeof own === "string" && isErrorCode(own)
      ? own
      : (CODES.get(error.code) ?? "CONTROLLER_UNAVAILABLE");
  // No cause: the details are all that grpc-js knows, and they are in the message.
  const what = `controller ${endpoint}: ${plain(error.details)}`;
  return new TwillError(code, what, { context: { endpoint } });
}

/** Without the words that grpc-js puts around what the socket said. */
function plain(details: string): string {
  return details
    .replace(/^No connection established\. Last error: (Error: )?/, "")
    .replace(/\.? ?Resolution note: $/, "");
}

interface ServiceErrorShape {
  readonly code: number;
  readonly details: string;
  readonly metadata: Metadata;
}

function isServiceError(error: unknown): error is ServiceErrorShape {
  return error instanceof Error && "code" in error && "details" in error && "metadata" in error;
}
