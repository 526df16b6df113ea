/** Ready means that this node's own part works; a bad peer is shown and keeps nobody waiting. */
import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { NodeStatus } from "../../../../agent/node/node-status.ts";
import type { ReconcileReport } from "../../../../agent/reconcile/node-reconciler.ts";
import { Health } from "../../../../common/health.ts";
import { ManualClock } from "../../../support/manual-clock.ts";

const WELL: ReconcileReport = {
  applied: { instance: "i", revision: 1, digest: "d" },
  isInSync: true,
  devicesWork: true,
  rulesInPlace: true,
  registration: { backendType: "vxlan", backendData: "", backendV6Data: "" },
  mtuBytes: 1450,
  refusal: undefined,
  failures: [],
  problems: [],
  repaired: [],
  applyMs: 1,
};
const failure = (kind: "route" | "link" | "address" | "rule"): ReconcileReport => ({
  ...WELL,
  failures: [{ kind, key: "k", code: "EPERM", message: "no" }],
});

let health = new Health(new ManualClock());
let status = new NodeStatus(health);
beforeEach(() => {
  health = new Health(new ManualClock());
  status = new NodeStatus(health);
  for (const part of [status.config, status.host, status.controllers, status.lease, status.file]) {
    part.ok();
  }
});

describe("the state of a node", () => {
  it("is starting, then in sync, when everything is as it should be", () => {
    assert.equal(status.state().state, "starting");
    status.reconciled(WELL);
    assert.deepEqual(status.state(), { state: "in-sync", reason: "" });
    assert.equal(health.report().isReady, true);
  });

  it("is cached while it works from the cache, and ready once no better is to come", () => {
    status.cached();
    status.reconciled({ ...WELL, isInSync: false });
    assert.equal(status.state().state, "cached");
    assert.match(status.state().reason, /add-only/);
    assert.equal(health.report().isReady, false);
    status.lease.degraded("starting");
    status.acceptCache();
    assert.equal(health.report().isReady, true);
    assert.deepEqual(status.state().state, "cached");
    assert.match(status.state().reason, /add-only/);
    status.reconciled(WELL);
    assert.equal(status.state().state, "in-sync");
  });

  it("is not ready on a cache whose network is not there", () => {
    status.cached();
    status.acceptCache();
    assert.equal(health.report().isReady, false);
    status.reconciled({ ...WELL, isInSync: false, applied: undefined });
    assert.equal(health.report().isReady, false);
    status.reconciled({ ...failure("link"), isInSync: false });
    assert.equal(health.report().isReady, false);
  });

  it("is not ready before the packet-filter rules are in place", () => {
    status.reconciled({ ...WELL, rulesInPlace: false });
    assert.equal(health.report().isReady, false);
    assert.match(status.state().reason, /waiting for the packet-filter rules/);
  });

  it("is not ready when the node's own part fails, and names it", () => {
    for (const kind of ["link", "address", "rule"] as const) {
      status.reconciled(failure(kind));
      assert.equal(health.report().isReady, false, kind);
      assert.match(status.state().reason, new RegExp(`${kind} k: EPERM no`));
    }
    status.reconciled({ ...WELL, refusal: "behind NAT" });
    assert.match(status.state().reason, /behind NAT/);
  });

  it("stays ready, but degraded, when a peer cannot be programmed or no controller is there", () => {
    status.reconciled(failure("route"));
    assert.equal(health.report().isReady, true);
    assert.deepEqual(status.state(), {
      state: "degraded",
      reason: "peers: 1 not programmed: route k: EPERM no",
    });
    status.reconciled(WELL);
    status.controllers.degraded("no controller: gone");
    assert.equal(health.report().isReady, true);
    assert.match(status.state().reason, /controllers: no controller: gone/);
  });
});
