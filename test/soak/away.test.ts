/**
 * No controller for a long while, ten minutes as a rule (TWILL_AWAY_MINUTES; else a quarter of the
 * soak): no packet is lost, agents that start meanwhile are ready, nobody is busy, and everything
 * goes on when controllers come back.
 */
import assert from "node:assert/strict";
import { it } from "node:test";
import { systemClock } from "../../common/async/clock.ts";
import { cpuSeconds, survive } from "../support/fault-run.ts";
import { startLab } from "../support/lab.ts";
import { waitReady, withPods } from "../support/lab-checks.ts";

const SOAK_MINUTES = Number(process.env["TWILL_SOAK_MINUTES"] ?? 10);
const SECONDS = 60 * Number(process.env["TWILL_AWAY_MINUTES"] ?? SOAK_MINUTES / 4);
const NEVER = new AbortController().signal;

it(`no controller for ${SECONDS} s`, { timeout: Number.POSITIVE_INFINITY }, async (t) => {
  const lab = await startLab(t, { controllers: 2 });
  await withPods(lab);
  const controllers = lab.units.filter(({ machine }) => machine.id.role === "controller");
  const agents = lab.units.filter(({ machine }) => machine.id.role === "node");
  const run = async (): Promise<string> => {
    await Promise.all(controllers.map((unit) => unit.stop()));
    const [restarted] = agents;
    assert.ok(restarted);
    await restarted.restart();
    await waitReady(restarted.machine);
    const before = await Promise.all(agents.map(cpuSeconds));
    await systemClock.sleep(SECONDS * 1000, NEVER);
    const after = await Promise.all(agents.map(cpuSeconds));
    const shares = after.map((seconds, index) => (seconds - (before[index] ?? 0)) / SECONDS);
    for (const unit of controllers) unit.start();
    return `busiest agent used ${(100 * Math.max(...shares)).toFixed(2)} % of a CPU`;
  };
  await survive(t, lab, { name: "everything goes on", run });
});
