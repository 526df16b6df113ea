/** Live and ready follow from what the components say, and silence counts. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Health, summarise } from "../../../common/health.ts";
import { ManualClock } from "../../support/manual-clock.ts";

describe("health", () => {
  it("is live and ready when nothing is registered", () => {
    const { isLive, isReady } = new Health(new ManualClock()).report();
    assert.deepEqual({ isLive, isReady }, { isLive: true, isReady: true });
  });

  it("is not ready before a component has said that it is", () => {
    const health = new Health(new ManualClock());
    const store = health.component("store", { gate: "ready" });
    assert.equal(health.report().isReady, false);
    assert.equal(health.report().isLive, true);
    assert.equal(summarise(health.report()), "store: starting");
    store.ok();
    assert.equal(health.report().isReady, true);
    assert.equal(summarise(health.report()), "ready");
  });

  it("goes back to not ready, unlike flannel's", () => {
    const health = new Health(new ManualClock());
    const store = health.component("store", { gate: "ready" });
    store.ok();
    store.degraded("etcd does not answer");
    assert.equal(health.report().isReady, false);
    assert.equal(summarise(health.report()), "store: etcd does not answer");
  });

  it("is neither live nor ready when a gate of liveness is degraded", () => {
    const health = new Health(new ManualClock());
    health.component("loop", { gate: "live" }).degraded("stuck");
    const { isLive, isReady } = health.report();
    assert.deepEqual({ isLive, isReady }, { isLive: false, isReady: false });
  });

  it("shows, but does not count, a component that gates nothing", () => {
    const health = new Health(new ManualClock());
    health.component("probe", { gate: "none" }).degraded("one peer does not answer");
    const report = health.report();
    assert.equal(report.isReady, true);
    assert.equal(report.components[0]?.state.kind, "degraded");
    assert.equal(summarise(report), "ready");
  });

  it("takes a component that has fallen silent as stuck until it speaks again", async () => {
    const clock = new ManualClock();
    const health = new Health(clock);
    const loop = health.component("loop", { gate: "live", staleAfterMs: 5000 });
    loop.ok();
    await clock.advance(5000);
    assert.equal(health.report().isLive, true);
    await clock.advance(1000);
    assert.equal(health.report().isLive, false);
    assert.equal(summarise(health.report()), "loop: no sign of life for 6 s");
    assert.equal(health.report().components[0]?.forMs, 1000);
    loop.ok();
    assert.equal(health.report().isLive, true);
  });

  it("says how long a state has lasted, not how long since it was repeated", async () => {
    const clock = new ManualClock();
    await clock.advance(500);
    const health = new Health(clock);
    const store = health.component("store", { gate: "ready" });
    store.degraded("away");
    await clock.advance(2000);
    store.degraded("away");
    await clock.advance(1000);
    assert.equal(health.report().components[0]?.forMs, 3000);
  });

  it("tells listeners of changes only, and not after they have left", () => {
    const health = new Health(new ManualClock());
    const store = health.component("store", { gate: "ready" });
    let changes = 0;
    const leave = health.onChange(() => {
      changes += 1;
    });
    store.ok();
    store.ok();
    store.degraded("a");
    store.degraded("a");
    store.degraded("b");
    assert.equal(changes, 3);
    assert.equal(summarise(health.report()), "store: b");
    leave();
    store.ok();
    assert.equal(changes, 3);
  });
});
