/** The last good config stays in force, and each refusal is told once. */
import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { ConfigIntake } from "../../../../agent/node/config-intake.ts";
import { Health, type HealthComponent } from "../../../../common/health.ts";
import { CONFIG_JSON } from "../../../support/agent-bench.ts";
import { LogCapture } from "../../../support/log-capture.ts";
import { ManualClock } from "../../../support/manual-clock.ts";

let log = new LogCapture();
let health: HealthComponent;
let intake: ConfigIntake;
beforeEach(() => {
  log = new LogCapture();
  health = new Health(new ManualClock()).component("config", { gate: "ready" });
  intake = new ConfigIntake(log, health);
});

describe("a config", () => {
  it("is in force when it is valid, and the same text again is no change", () => {
    assert.equal(intake.take(CONFIG_JSON, 3), true);
    const { config } = intake.accepted ?? {};
    assert.equal(intake.take(CONFIG_JSON, 9), false);
    assert.equal(intake.accepted?.revision, 9);
    assert.equal(intake.accepted?.config, config, "planners know it by its identity");
    assert.deepEqual(log.names, ["config.accepted"]);
  });

  it("that is invalid is refused once, with its places, and the last good one stays", () => {
    intake.take(CONFIG_JSON, 3);
    for (let round = 0; round < 3; round += 1) assert.equal(intake.take("{", 4 + round), false);
    assert.equal(log.of("config.rejected").length, 1);
    assert.match(log.of("config.rejected")[0]?.message ?? "", /last good one stays: \$/);
    assert.equal(intake.accepted?.json, CONFIG_JSON);
    assert.equal(health.report().state.kind, "degraded");
    intake.take(CONFIG_JSON, 8);
    assert.equal(health.report().state.kind, "ok");
  });

  it("comes with another one while the backend changes, and each step is news", () => {
    const alsoJson = CONFIG_JSON.replace("vxlan", "host-gw");
    intake.take(CONFIG_JSON, 3);
    assert.equal(intake.take(CONFIG_JSON, 3, { alsoJson, mark: "1 prepare" }), true);
    const { also } = intake.accepted ?? {};
    assert.equal(also?.backend.type, "host-gw");
    assert.equal(intake.take(CONFIG_JSON, 4, { alsoJson, mark: "1 prepare" }), false);
    assert.equal(intake.accepted?.also, also, "planners know it by its identity");
    assert.equal(intake.take(alsoJson, 5, { alsoJson: CONFIG_JSON, mark: "1 switch" }), true);
    assert.equal(intake.accepted?.also?.backend.type, "vxlan");
    assert.equal(intake.take(alsoJson, 5), true, "and its end");
    assert.equal(intake.accepted?.also, undefined);
  });
});
