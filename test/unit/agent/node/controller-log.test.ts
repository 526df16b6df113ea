/** Outages are told as transitions: once, and again only when the reason changes. */
import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { ControllerLog } from "../../../../agent/node/controller-log.ts";
import { TwillError } from "../../../../common/errors.ts";
import { Health, type HealthComponent } from "../../../../common/health.ts";
import { welcome } from "../../../support/agent-bench.ts";
import { LogCapture } from "../../../support/log-capture.ts";
import { ManualClock } from "../../../support/manual-clock.ts";

let clock = new ManualClock();
let log = new LogCapture();
let health: HealthComponent;
let controllers: ControllerLog;
beforeEach(() => {
  clock = new ManualClock();
  log = new LogCapture();
  health = new Health(clock).component("controllers", { gate: "none" });
  controllers = new ControllerLog({ log, clock, health });
});
const away = (text: string): TwillError => new TwillError("CONTROLLER_UNAVAILABLE", text);

describe("an outage", () => {
  it("is one line per controller and reason, however often it is tried", () => {
    for (let round = 0; round < 50; round += 1) {
      controllers.disconnected(away("refused"), "a:1", false);
      controllers.disconnected(away("refused"), "b:1", false);
    }
    controllers.disconnected(away("timed out"), "a:1", false);
    assert.equal(log.of("controller.unreachable").length, 3);
  });

  it("shows how long it has lasted, and the recovery says so", async () => {
    controllers.connected(welcome(), "a:1");
    controllers.disconnected(away("gone"), "a:1", true);
    assert.deepEqual(log.names, ["controller.connected", "controller.lost"]);
    await clock.advance(12_000);
    assert.equal(controllers.awayMs(), 12_000);
    assert.equal(health.report().state.kind, "degraded");
    controllers.connected(welcome(), "b:1");
    assert.equal(log.all.at(-1)?.fields["away_s"], 12);
    assert.equal(controllers.awayMs(), undefined);
    assert.equal(health.report().state.kind, "ok");
  });

  it("starts the telling anew after a recovery", () => {
    controllers.disconnected(away("refused"), "a:1", false);
    controllers.connected(welcome(), "a:1");
    controllers.disconnected(away("refused"), "a:1", false);
    assert.equal(log.of("controller.unreachable").length, 2);
  });

  it("that is a refusal is told as one", () => {
    controllers.disconnected(new TwillError("IDENTITY_REFUSED", "not you"), "a:1", false);
    assert.deepEqual(log.names, ["stream.rejected"]);
  });
});

describe("the leader", () => {
  it("is told when it changes, not when it is first seen", () => {
    for (const leader of ["a", "a", "b", ""]) controllers.sawLeader(leader);
    assert.deepEqual(
      log.of("leader.changed").map(({ message }) => message),
      ["b leads now", "nobody leads the controllers"],
    );
  });
});
