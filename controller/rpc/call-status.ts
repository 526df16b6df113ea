/**
 * A TwillError as the end of a call: status by its traits, its code in a trailer, its message
 * for people. Causes stay home; a bug says no more than that it is one.
 */
import { Metadata, type StatusObject, status } from "@grpc/grpc-js";
import { TwillError } from "../../common/errors.ts";
import { CODE_TRAILER } from "../../common/rpc/call-error.ts";

export function callStatus(error: unknown): StatusObject {
  const known = TwillError.from(error);
  const metadata = new Metadata();
  metadata.set(CODE_TRAILER, known.code);
  const details =
    known.code === "BUG" ? "internal error; the controller's log says more" : known.message;
  return { code: status[known.traits.status], details, metadata };
}
