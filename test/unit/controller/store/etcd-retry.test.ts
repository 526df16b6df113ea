/** Whether and when a failed call to etcd is tried again. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type EtcdFault, etcdFault } from "../../../../controller/store/etcd-errors.ts";
import {
  decideRetry,
  ETCD_RETRY,
  type FailedAttempt,
  type RetryDecision,
} from "../../../../controller/store/etcd-retry.ts";

const fault = (text: string): EtcdFault => etcdFault(new Error(text), "http://a:2379");
const refused = fault("14 UNAVAILABLE: No connection established. Last error: ECONNREFUSED");
const dropped = fault("14 UNAVAILABLE: Connection dropped");
const denied = fault("7 PERMISSION_DENIED: etcd: permission denied");
const full = fault("8 RESOURCE_EXHAUSTED: etcd: mvcc: database space exceeded");
const stale = fault("16 UNAUTHENTICATED: etcd: invalid auth token");

function decide(failed: Partial<FailedAttempt>): RetryDecision {
  return decideRetry(ETCD_RETRY, {
    mode: "read",
    fault: dropped,
    attempt: 0,
    elapsedMs: 0,
    hasGoodEndpoint: false,
    random: 0.5,
    ...failed,
  });
}

const codeOf = (decision: RetryDecision): string =>
  decision.kind === "stop" ? decision.error.code : "again";

describe("the retry of a failed call", () => {
  it("goes to another endpoint at once, and backs off when none is left", () => {
    assert.deepEqual(decide({ hasGoodEndpoint: true }), { kind: "again", delayMs: 0 });
    const delays = [0, 1, 2, 10].map((attempt) => decide({ attempt }));
    assert.deepEqual(
      delays.map((decision) => (decision.kind === "again" ? decision.delayMs : undefined)),
      [100, 200, 400, 2000],
    );
  });

  it("ends when the budget would be exceeded, with the last fault", () => {
    assert.equal(codeOf(decide({ elapsedMs: ETCD_RETRY.budgetMs })), "STORE_UNAVAILABLE");
    assert.equal(codeOf(decide({ elapsedMs: ETCD_RETRY.budgetMs - 101 })), "again");
  });

  it("repeats a write only when it surely did nothing", () => {
    assert.equal(codeOf(decide({ mode: "write", fault: refused })), "again");
    assert.equal(codeOf(decide({ mode: "write", fault: stale })), "again");
    const unknown = decide({ mode: "write", fault: dropped });
    assert.equal(codeOf(unknown), "STORE_TIMEOUT");
    assert.match(
      unknown.kind === "stop" ? unknown.error.message : "",
      /Connection dropped.*unknown/,
    );
  });

  it("says of a write that never left that etcd is unavailable, not that it may be written", () => {
    const elapsedMs = ETCD_RETRY.budgetMs;
    assert.equal(codeOf(decide({ mode: "write", fault: refused, elapsedMs })), "STORE_UNAVAILABLE");
  });

  it("does not repeat what was refused for good", () => {
    for (const mode of ["read", "write"] as const) {
      assert.equal(codeOf(decide({ mode, fault: denied })), "STORE_DENIED");
      assert.equal(codeOf(decide({ mode, fault: full })), "STORE_FULL");
    }
  });

  it("asks again at once with another token, but not for ever", () => {
    assert.deepEqual(decide({ fault: stale }), { kind: "again", delayMs: 0 });
    assert.equal(codeOf(decide({ fault: stale, attempt: 3 })), "STORE_DENIED");
  });
});
