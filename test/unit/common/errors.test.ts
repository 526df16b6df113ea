/** One error class, one table, one funnel. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { assertNever, ERROR_TRAITS, isErrorCode, TwillError } from "../../../common/errors.ts";

describe("an error", () => {
  it("carries code, context and cause", () => {
    const cause = new Error("ECONNREFUSED");
    const error = new TwillError("STORE_UNAVAILABLE", "etcd does not answer", {
      cause,
      context: { endpoint: "http://a:1" },
    });
    assert.equal(error.name, "TwillError");
    assert.equal(error.cause, cause);
    assert.deepEqual(error.context, { endpoint: "http://a:1" });
    assert.equal(error.traits.retry, "backoff");
    assert.equal(Object.hasOwn(new TwillError("BUG", "x"), "cause"), false);
  });

  it("that is ours passes the funnel as it is; anything else is a bug", () => {
    const ours = new TwillError("FENCED", "another leads");
    assert.equal(TwillError.from(ours), ours);
    const foreign = new TypeError("x is not a function");
    assert.equal(TwillError.from(foreign).code, "BUG");
    assert.equal(TwillError.from(foreign).cause, foreign);
    assert.equal(TwillError.from("text").message, "text");
    assert.equal(TwillError.from(undefined).message, "undefined");
  });

  it("ends the process with a code that is not taken for success, unless it is one", () => {
    for (const [code, { exit }] of Object.entries(ERROR_TRAITS)) {
      assert.equal(exit === 0, code === "SHUTTING_DOWN", code);
    }
    assert.equal(ERROR_TRAITS.CONFIG_INVALID.exit, 1);
    assert.equal(ERROR_TRAITS.OPTION_INVALID.exit, 2);
    assert.equal(ERROR_TRAITS.BUG.exit, 70);
  });

  it("has a code of the closed set", () => {
    assert.equal(isErrorCode("NOT_LEADER"), true);
    assert.equal(isErrorCode("toString"), false);
    assert.equal(isErrorCode("nonsense"), false);
  });
});

describe("assertNever", () => {
  it("shows any value, also one that JSON cannot", () => {
    const circular: { self?: unknown; big: bigint } = { big: 1n };
    circular.self = circular;
    // @ts-expect-error the compiler refuses what this test must do
    assert.throws(() => assertNever(circular), /unexpected value .*big: 1n/);
  });
});
