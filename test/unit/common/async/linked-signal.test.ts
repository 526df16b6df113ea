/** Several signals as one. */
import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { describe, it } from "node:test";
import { LinkedSignal } from "../../../../common/async/linked-signal.ts";

describe("a linked signal", () => {
  it("is aborted with the reason of whichever source is first", () => {
    const [a, b] = [new AbortController(), new AbortController()];
    using linked = new LinkedSignal(a.signal, b.signal);
    assert.equal(linked.signal.aborted, false);
    b.abort("b");
    a.abort("a");
    assert.equal(linked.signal.reason, "b");
  });

  it("is aborted from the start by a source that is", () => {
    using linked = new LinkedSignal(new AbortController().signal, AbortSignal.abort("before"));
    assert.equal(linked.signal.reason, "before");
  });

  it("can be aborted alone, and leaves no listener when it is let go", () => {
    const source = new AbortController();
    {
      using linked = new LinkedSignal(source.signal);
      linked.abort("alone");
      assert.equal(linked.signal.reason, "alone");
      assert.equal(getEventListeners(source.signal, "abort").length, 1);
    }
    assert.equal(source.signal.aborted, false);
    assert.equal(getEventListeners(source.signal, "abort").length, 0);
  });
});
