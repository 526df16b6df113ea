/**
 * Unary handlers as async functions: authorised first, aborted with the call and the process,
 * errors as statuses.
 */
import type { handleUnaryCall } from "@grpc/grpc-js";
import { TwillError } from "../../common/errors.ts";
import { type Caller, refusalOf, type Verb } from "../auth/authorize.ts";
import { callStatus } from "./call-status.ts";
import { identityOf } from "./peer-identity.ts";

/** `answer` gets a signal that ends with the call or with `process`, whichever is first. */
export function answerUnary<Request, Reply>(
  process: AbortSignal,
  verb: Verb,
  answer: (request: Request, signal: AbortSignal, caller: Caller) => Promise<Reply>,
): handleUnaryCall<Request, Reply> {
  return (call, respond) => {
    const caller = identityOf(call);
    const refusal = refusalOf(caller, verb);
    if (refusal !== undefined) {
      respond(callStatus(new TwillError("IDENTITY_REFUSED", refusal)));
      return;
    }
    // Not AbortSignal.any: on Node 20 every use of it stays referenced by the long-lived signal.
    const ended = new AbortController();
    const onProcess = (): void => ended.abort(process.reason);
    process.addEventListener("abort", onProcess, { once: true });
    if (process.aborted) onProcess();
    call.once("cancelled", () => {
      ended.abort(new TwillError("CONTROLLER_UNAVAILABLE", "the caller has gone"));
    });
    answer(call.request, ended.signal, caller)
      .finally(() => process.removeEventListener("abort", onProcess))
      .then(
        (reply) => respond(null, reply),
        (error: unknown) => respond(callStatus(error)),
      );
  };
}
