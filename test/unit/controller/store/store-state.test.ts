/** Transitions between connected and unavailable, each told once. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TwillError } from "../../../../common/errors.ts";
import { StoreState } from "../../../../controller/store/store-state.ts";
import { LogCapture } from "../../../support/log-capture.ts";

const error = new TwillError("STORE_UNAVAILABLE", "etcd at a: refused");

describe("the state of the store", () => {
  it("is unknown until something was asked", () => {
    assert.deepEqual(new StoreState(new LogCapture(), ["a"]).status, { kind: "unknown" });
  });

  it("tells each transition once", () => {
    const log = new LogCapture();
    const state = new StoreState(log, ["a"]);
    for (let i = 0; i < 3; i += 1) state.succeeded("a");
    for (let i = 0; i < 3; i += 1) state.failed(error);
    assert.deepEqual(state.status, { kind: "unavailable", error });
    for (let i = 0; i < 3; i += 1) state.succeeded("a");
    assert.deepEqual(state.status, { kind: "connected" });
    assert.deepEqual(log.names, ["store.connected", "store.unavailable", "store.connected"]);
  });

  it("does not count one bad member of three as an outage", () => {
    const log = new LogCapture();
    const state = new StoreState(log, ["a", "b", "c"]);
    for (let i = 0; i < 10; i += 1) {
      state.failed(error);
      state.failed(error);
      state.succeeded("c");
    }
    assert.deepEqual(log.names, ["store.connected"]);
    for (let i = 0; i < 3; i += 1) state.failed(error);
    assert.deepEqual(log.names, ["store.connected", "store.unavailable"]);
  });

  it("says why, with the newest error", () => {
    const log = new LogCapture();
    const state = new StoreState(log, ["a"]);
    state.failed(error);
    const newer = new TwillError("STORE_DENIED", "wrong password");
    state.failed(newer);
    assert.deepEqual(state.status, { kind: "unavailable", error: newer });
    assert.equal(log.all[0]?.fields["code"], "STORE_UNAVAILABLE");
  });
});
