/** Waiting for the kernels: who holds it up, when it ends, how often it asks. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ClusterView, NodeView } from "../../../../cli/cluster/cluster-view.ts";
import { LOOK_INTERVAL_MS, stragglersOf, waitForRevision } from "../../../../cli/cluster/wait.ts";
import type { Clock } from "../../../../common/async/clock.ts";
import { TwillError } from "../../../../common/errors.ts";

function node(name: string, appliedRevision: number, more: Partial<NodeView> = {}): NodeView {
  return {
    node: name,
    condition: "ready",
    reason: "",
    subnet: "10.244.1.0-24",
    publicIp: "",
    backend: "vxlan",
    version: "",
    controller: "c1",
    appliedRevision,
    behind: 0,
    driftRepaired: 0,
    ...more,
  };
}

function view(revision: number, nodes: NodeView[], codes: string[] = []): ClusterView {
  const warnings = codes.map((code) => ({ code, message: "c2: refused" }));
  const rest = { leader: "c1", appliedRevision: 0, controllers: [], leases: [], healthy: true };
  return { ...rest, revision, nodes, warnings };
}

/** Time that passes by sleeping only. */
function manualClock(): Clock & { sleeps: number } {
  let now = 0;
  const clock = {
    sleeps: 0,
    monotonicMs: () => now,
    wallMs: () => now,
    sleep: (ms: number) => {
      now += ms;
      clock.sleeps += 1;
      return Promise.resolve();
    },
  };
  return clock;
}

async function run(views: (ClusterView | Error)[], nodes = 1) {
  const clock = manualClock();
  const told: (readonly string[])[] = [];
  let looks = 0;
  const look = (): Promise<ClusterView> => {
    const seen = views[Math.min(looks, views.length - 1)];
    looks += 1;
    return seen instanceof Error || seen === undefined
      ? Promise.reject(seen ?? new Error("no view"))
      : Promise.resolve(seen);
  };
  const result = await waitForRevision(
    { revision: undefined, nodes, timeoutMs: 5_000 },
    { look, clock, tell: (lines) => void told.push(lines) },
    new AbortController().signal,
  );
  return { result, told, looks, sleeps: clock.sleeps };
}

describe("waiting for a revision", () => {
  it("ends when every live node has applied it, and tells of each change once", async () => {
    const behind = view(9, [node("n1", 9), node("n2", 7)]);
    const { result, told } = await run([behind, behind, view(9, [node("n1", 9), node("n2", 9)])]);
    assert.deepEqual(result, { kind: "reached", revision: 9, live: 2, stragglers: [] });
    assert.deepEqual(told, [["n2: has applied 7 of 9"]]);
  });

  it("does not run after a table that goes on changing", async () => {
    const { result } = await run([view(9, [node("n1", 8)]), view(12, [node("n1", 9)])]);
    assert.equal(result.kind, "reached");
    assert.equal(result.revision, 9);
  });

  it("is late at the time limit, having asked at a bounded rate", async () => {
    const { result, looks, sleeps } = await run([view(9, [node("n1", 1)])]);
    assert.equal(result.kind, "late");
    assert.deepEqual(result.stragglers, ["n1: has applied 1 of 9"]);
    assert.equal(sleeps, 5_000 / LOOK_INTERVAL_MS);
    assert.equal(looks, sleeps + 1);
  });

  it("takes no empty cluster for a converged one, and its revision when enough are there", async () => {
    const { result, told } = await run([view(1, []), view(8, [node("n1", 8)])]);
    assert.deepEqual([result.kind, result.revision, result.live], ["reached", 8, 1]);
    assert.deepEqual(told, [["nodes: 0 with a lease and a stream, not 1 yet"]]);
    assert.equal((await run([view(8, [node("n1", 8)])], 2)).result.kind, "late");
  });

  it("waits for controllers that are away, but not for a wrong option", async () => {
    const away = new TwillError("CONTROLLER_UNAVAILABLE", "no controller answers (c1: refused)");
    const { result, told } = await run([away, view(9, [node("n1", 9)])]);
    assert.equal(result.kind, "reached");
    assert.deepEqual(told, [["no controller answers (c1: refused)"]]);
    await assert.rejects(run([new TwillError("OPTION_INVALID", "cannot read x")]), /cannot read x/);
  });
});

describe("the stragglers", () => {
  it("are nodes that are behind or failing, and controllers without the revision", () => {
    const failing = node("n2", 9, { condition: "failing", reason: "route x: ENODEV" });
    assert.deepEqual(stragglersOf(view(9, [node("n1", 9), failing]), 10), [
      "controllers: have revision 9, not 10 yet",
      "n1: has applied 9 of 10",
      "n2: route x: ENODEV",
    ]);
  });

  it("are not lost nodes, unless a silent controller may serve them", () => {
    const lost = node("n1", 0, { condition: "lost" });
    assert.deepEqual(stragglersOf(view(9, [lost]), 9), []);
    assert.deepEqual(stragglersOf(view(9, [lost], ["CONTROLLER_SILENT"]), 9), [
      "n1: unknown, for c2: refused",
    ]);
  });
});
