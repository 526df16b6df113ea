/** Which endpoint the next call goes to. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { AVOID_MS, Endpoints } from "../../../../controller/store/etcd-endpoints.ts";

const ABC = ["a", "b", "c"];

describe("the choice of an endpoint", () => {
  it("begins where the random number says and stays there", () => {
    assert.deepEqual(
      [0, 0.34, 0.67, 0.999].map((random) => new Endpoints(ABC, random).choose(0)),
      ["a", "b", "c", "c"],
    );
    const endpoints = new Endpoints(ABC, 0);
    endpoints.succeeded("a");
    assert.equal(endpoints.choose(1_000_000), "a");
  });

  it("leaves an endpoint that failed, and does not come back while the other works", () => {
    const endpoints = new Endpoints(ABC, 0);
    endpoints.failed("a", 0);
    assert.equal(endpoints.choose(1), "b");
    assert.equal(endpoints.choose(AVOID_MS + 1), "b");
  });

  it("goes to the endpoint whose failure is oldest when all have failed", () => {
    const endpoints = new Endpoints(ABC, 0);
    for (const [i, name] of ["b", "c", "a"].entries()) endpoints.failed(name, i);
    assert.equal(endpoints.hasGood(3), false);
    assert.equal(endpoints.choose(3), "b");
    endpoints.failed("b", 4);
    assert.equal(endpoints.choose(5), "c");
  });

  it("forgets a failure once the endpoint answers", () => {
    const endpoints = new Endpoints(ABC, 0);
    endpoints.failed("a", 0);
    endpoints.succeeded("a");
    assert.equal(endpoints.choose(1), "a");
    assert.equal(endpoints.hasGood(1), true);
  });

  it("has only one choice with one endpoint, and says that it is bad", () => {
    const endpoints = new Endpoints(["a"], 0.9);
    endpoints.failed("a", 0);
    assert.equal(endpoints.choose(1), "a");
    assert.equal(endpoints.hasGood(1), false);
    assert.equal(endpoints.hasGood(AVOID_MS), true);
  });

  it("finds the one that works though all have failed within one millisecond", () => {
    const endpoints = new Endpoints(["a", "b", "c"], 0);
    for (const endpoint of ["b", "c", "a"]) endpoints.failed(endpoint, 0);
    assert.equal(endpoints.choose(0), "b");
  });

  it("never chooses a bad endpoint while there is one that is not, and starves none", () => {
    const step = fc.record({
      bad: fc.subarray(ABC, { maxLength: 2 }),
      waitMs: fc.integer({ min: 0, max: 2 * AVOID_MS }),
    });
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 20 }),
        fc.double({ min: 0, max: 0.999 }),
        (steps, r) => {
          const endpoints = new Endpoints(ABC, r);
          let nowMs = 0;
          for (const { bad, waitMs } of steps) {
            nowMs += waitMs;
            // Within as many calls as there are endpoints, one that works is found.
            let chosen = endpoints.choose(nowMs);
            for (let call = 0; bad.includes(chosen) && call < ABC.length; call += 1) {
              endpoints.failed(chosen, nowMs);
              chosen = endpoints.choose(nowMs);
            }
            assert.ok(!bad.includes(chosen));
            endpoints.succeeded(chosen);
          }
        },
      ),
    );
  });
});
