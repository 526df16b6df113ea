/**
 * Two builds in one cluster, in both orders, replaced one by one while pods ping: agents of the
 * other build with controllers of this one, all of the other, agents of this one with
 * controllers of the other, and back. Only with TWILL_OTHER_BUILD, the dist folder of another
 * build; what CI holds instead is test/unit/proto/compatibility.test.ts.
 */
import assert from "node:assert/strict";
import { it, type TestContext } from "node:test";
import type { Lab } from "../../scripts/testbed/lab.ts";
import type { Role } from "../../scripts/testbed/topology.ts";
import type { Unit } from "../../scripts/testbed/unit.ts";
import { assertQuietLogs, leaderOf, nextAllocation, survive } from "../support/fault-run.ts";
import { startLab } from "../support/lab.ts";
import { waitReady, withPods } from "../support/lab-checks.ts";

const OTHER = process.env["TWILL_OTHER_BUILD"] ?? "";
const skip = OTHER === "" ? "TWILL_OTHER_BUILD names no other build's dist folder" : false;

it("two builds live together in any order", { timeout: 400_000, skip }, async (t) => {
  const lab = await startLab(t);
  await withPods(lab);
  await leaderOf(lab);
  const builds = new Builds(lab);
  await step(t, lab, "agents become older", () => builds.replace("node", "other"));
  await step(t, lab, "controllers become older", () => builds.replace("controller", "other"));
  await step(t, lab, "agents become newer", () => builds.replace("node", "this"));
  await step(t, lab, "controllers become newer", () => builds.replace("controller", "this"));
  await t.test("no log repeated itself", () => assertQuietLogs(lab));
});

/** Replaces, then takes the leader away and lets a node join: both builds must still do their part. */
async function step(
  t: TestContext,
  lab: Lab,
  name: string,
  replace: () => Promise<void>,
): Promise<void> {
  const run = async (): Promise<string> => {
    await replace();
    const leader = await leaderOf(lab);
    await leader.crash({ restart: true });
    return `next allocation ${await nextAllocation(lab)} ms after the leader was killed`;
  };
  await survive(t, lab, { name, run });
}

/** The same command lines with programs of another folder. */
class Builds {
  readonly #lab: Lab;
  readonly #own = new Map<Unit, readonly string[]>();

  constructor(lab: Lab) {
    this.#lab = lab;
    for (const unit of lab.units) this.#own.set(unit, unit.spec.argv);
  }

  async replace(role: Role, build: "this" | "other"): Promise<void> {
    for (const [unit, own] of this.#own) {
      if (unit.machine.id.role !== role) continue;
      const other = own.map((word) =>
        word.replace(/^.*\/dist\/(?=(agent|controller)\/main\.js$)/, `${OTHER}/`),
      );
      assert.notDeepEqual(other, own);
      await unit.stop();
      unit.replace(build === "this" ? own : other);
      unit.start();
      await waitReady(unit.machine);
    }
    await this.#lab.waitConverged();
  }
}
