/** How a call ended, in the words and codes of Twill; the texts are real ones of grpc-js. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Metadata, status } from "@grpc/grpc-js";
import { TwillError } from "../../../../common/errors.ts";
import { CODE_TRAILER, fromCallError } from "../../../../common/rpc/call-error.ts";

function serviceError(code: number, details: string, own?: string): Error {
  const metadata = new Metadata();
  if (own !== undefined) metadata.set(CODE_TRAILER, own);
  return Object.assign(new Error(`${code}: ${details}`), { code, details, metadata });
}

describe("the end of a call", () => {
  it("keeps a controller's own code, whatever status it came in", () => {
    const error = fromCallError(serviceError(status.ABORTED, "slow", "STREAM_EVICTED"), "c:1");
    assert.equal(error.code, "STREAM_EVICTED");
    assert.equal(error.message, "controller c:1: slow");
  });

  it("is judged by the status when there is no code that is known", () => {
    const cases = [
      [status.UNAVAILABLE, "CONTROLLER_UNAVAILABLE"],
      [status.UNAUTHENTICATED, "UNAUTHENTICATED"],
      [status.PERMISSION_DENIED, "IDENTITY_REFUSED"],
      [status.RESOURCE_EXHAUSTED, "PROTOCOL_VIOLATION"],
      [status.INTERNAL, "PROTOCOL_VIOLATION"],
      [status.UNKNOWN, "CONTROLLER_UNAVAILABLE"],
    ] as const;
    for (const [code, expected] of cases) {
      assert.equal(fromCallError(serviceError(code, "", "NEW_CODE"), "c:1").code, expected);
    }
  });

  it("says what the socket said, without the words around it", () => {
    const details =
      "No connection established. Last error: Error: connect ECONNREFUSED 10.0.0.1:7470. Resolution note: ";
    assert.equal(
      fromCallError(serviceError(status.UNAVAILABLE, details), "c:1").message,
      "controller c:1: connect ECONNREFUSED 10.0.0.1:7470",
    );
  });

  it("passes on what is an error of ours, and calls a bug what is none of the two", () => {
    const own = new TwillError("FILE_FAILED", "no certificate");
    assert.equal(fromCallError(own, "c:1"), own);
    assert.equal(fromCallError(new RangeError("x"), "c:1").code, "BUG");
  });
});
