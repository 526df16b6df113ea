/** A call as a promise: its ends, its signal, and the client that is closed after it. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { onlyCall, unaryCall } from "../../../../common/rpc/unary-call.ts";

function failure(details: string): ServiceError {
  const parts = { code: status.UNAVAILABLE, details, metadata: new Metadata() };
  return Object.assign(new Error(details), parts);
}

class Closed {
  count = 0;

  close(): void {
    this.count += 1;
  }
}

describe("one unary call", () => {
  it("answers the reply, and rejects with what grpc-js says", async () => {
    const cancel = (): void => assert.fail("nobody cancels");
    const good = unaryCall<string>((done) => {
      done(null, "reply");
      return { cancel };
    });
    assert.equal(await good, "reply");
    const error = failure("gone");
    const bad = unaryCall<string>((done) => {
      done(error, "");
      return { cancel };
    });
    await assert.rejects(bad, error);
  });

  it("is cancelled by its signal while it runs, and not after it", async () => {
    const stop = new AbortController();
    let cancels = 0;
    const running = unaryCall<string>(
      (done) => ({
        cancel: () => {
          cancels += 1;
          done(failure("cancelled"), "");
        },
      }),
      stop.signal,
    );
    stop.abort();
    await assert.rejects(running, /cancelled/);
    assert.equal(cancels, 1);

    const later = new AbortController();
    await unaryCall<string>((done) => {
      done(null, "");
      return {
        cancel: () => {
          cancels += 1;
        },
      };
    }, later.signal);
    later.abort();
    assert.equal(cancels, 1);
  });

  it("closes the client it was the only call of, and names the endpoint when it failed", async () => {
    const client = new Closed();
    const cancel = (): void => undefined;
    await onlyCall<string>(client, "c:1", (done) => {
      done(null, "");
      return { cancel };
    });
    assert.equal(client.count, 1);
    const failed = onlyCall<string>(client, "c:1", (done) => {
      done(failure("gone"), "");
      return { cancel };
    });
    await assert.rejects(failed, /controller c:1: gone/);
    assert.equal(client.count, 2);
  });
});
