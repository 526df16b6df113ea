/** A change of backend goes on only when every node says so, and is undone when one cannot. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  type NodeAnswer,
  nextStep,
  type RolloutFacts,
} from "../../../../controller/rollout/next-step.ts";
import { encodeRollout, type Rollout, readRollout } from "../../../../controller/view/rollout.ts";

const BEFORE = "2024-05-05T00:00:00.000Z";
const DEADLINE = "2024-05-05T00:01:00.000Z";
const AFTER = "2024-05-05T00:02:00.000Z";

function rollout(phase: Rollout["phase"], reason = ""): Rollout {
  const state = { id: "1", by: "operator/alice", phase, from: "{}", to: "[]", reason };
  return { ...state, deadline: DEADLINE, modRevision: 7, mark: `1 ${phase}` };
}

function answer(node: string, mark: string, more: { revision?: number; problem?: string } = {}) {
  const state = { mark, heard: mark, revision: 9, problem: "", ...more };
  return { node, state, silence: "" };
}

const SILENT: NodeAnswer = { node: "c", state: undefined, silence: "has no stream" };

function facts(answers: readonly NodeAnswer[], more: Partial<RolloutFacts> = {}): RolloutFacts {
  return { answers, otherLeases: [], leaseRevision: 9, now: BEFORE, ...more };
}

describe("a change of backend", () => {
  it("switches when every node has prepared, whatever its lease still is", () => {
    const [a, b] = [answer("a", "1 prepare"), answer("b", "1 prepare", { revision: 1 })];
    const all = facts([a, b], { otherLeases: ["a", "b"] });
    assert.deepEqual(nextStep(rollout("prepare"), all), { kind: "switch" });
    const late = facts([a, answer("b", "")]);
    assert.deepEqual(nextStep(rollout("prepare"), late), {
      kind: "wait",
      for: ["b: its kernel is not ready"],
    });
    assert.equal(nextStep(rollout("prepare"), facts([a, SILENT])).kind, "wait");
  });

  it("is done when every lease is the new backend's and every kernel has them all", () => {
    const [a, b] = [answer("a", "1 switch"), answer("b", "1 switch")];
    const done = { kind: "end", isDone: true, reason: "" };
    assert.deepEqual(nextStep(rollout("switch"), facts([a, b])), done);
    const lagging = facts([a, answer("b", "1 switch", { revision: 8 })]);
    assert.equal(nextStep(rollout("switch"), lagging).kind, "wait");
    assert.equal(nextStep(rollout("switch"), facts([a, b], { otherLeases: ["b"] })).kind, "wait");
    assert.equal(nextStep(rollout("switch"), facts([a, answer("b", "1 prepare")])).kind, "wait");
  });

  it("ends where it is when a node refuses or is late before the switch", () => {
    const refusing = facts([answer("a", "1 prepare", { problem: "too small an MTU" })]);
    const refused = { kind: "end", isDone: false, reason: "node a refuses: too small an MTU" };
    assert.deepEqual(nextStep(rollout("prepare"), refusing), refused);
    const late = nextStep(rollout("prepare"), facts([SILENT], { now: AFTER }));
    assert.deepEqual(late, {
      kind: "end",
      isDone: false,
      reason: "not within the time: c: has no stream",
    });
  });

  it("does not take an old trouble for a refusal of this step", () => {
    const { state } = answer("a", "", { problem: "old" });
    const old = { node: "a", state: { ...state, heard: "1 prepare" }, silence: "" };
    assert.equal(nextStep(rollout("switch"), facts([old])).kind, "wait");
  });

  it("returns after the switch, and ends when all are back or cannot be waited for", () => {
    const reason = "not within the time: c: has no stream";
    const late = facts([answer("a", "1 switch"), SILENT], { now: AFTER });
    assert.deepEqual(nextStep(rollout("switch"), late), { kind: "return", reason });
    const back = facts([answer("a", "1 return")]);
    const end = { kind: "end", isDone: false, reason };
    assert.deepEqual(nextStep(rollout("return", reason), back), end);
    assert.equal(nextStep(rollout("return", reason), facts([SILENT])).kind, "wait");
    assert.deepEqual(nextStep(rollout("return", reason), late), end);
  });

  it("that took long is done all the same when nothing is waited for", () => {
    const done = facts([answer("a", "1 switch")], { now: AFTER });
    assert.equal(nextStep(rollout("switch"), done).kind, "end");
  });

  it("comes back from the store as it was written, and is none when it cannot be read", () => {
    const { modRevision, mark, ...state } = rollout("switch", "why");
    const entry = (value: string) => ({
      ...{ key: "twill/rollout", value, createRevision: 5, modRevision, etcdLease: "0" },
    });
    assert.deepEqual(readRollout(entry(encodeRollout(state))), { ...state, modRevision, mark });
    assert.equal(readRollout(undefined), undefined);
    for (const value of ["", "[]", "{}", encodeRollout(state).replace("switch", "leap")]) {
      assert.equal(readRollout(entry(value)), undefined, value);
    }
  });
});
