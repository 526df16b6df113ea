/**
 * The long form: ./scripts/test soak --minutes 30 --seed 5. Random histories of controllers on
 * the memory store for a quarter of the time, then the faults of the control plane on one
 * living lab in random order. The seed is printed; it gives the same histories and order again.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { systemClock } from "../../common/async/clock.ts";
import { controllerFaults, ETCD_QUOTA, etcdFaults } from "../support/control-plane-faults.ts";
import { assertQuietLogs, leaderOf, survive } from "../support/fault-run.ts";
import { startLab } from "../support/lab.ts";
import { withPods } from "../support/lab-checks.ts";
import { seededRandom, shuffled } from "../support/seeded-random.ts";
import { simulate } from "../support/simulation/simulation.ts";

const MINUTES = Number(process.env["TWILL_SOAK_MINUTES"] ?? 10);
const SEED = Number(process.env["TWILL_SOAK_SEED"] ?? Date.now() % 1_000_000);
/** The last quarter is away.test.ts. */
const SHARE = { histories: 0.25, faults: 0.5 } as const;

describe(`soak of ${MINUTES} minutes, seed ${SEED}`, () => {
  it("keeps every rule of leases in random histories", {
    timeout: Number.POSITIVE_INFINITY,
  }, async (t) => {
    const untilMs = systemClock.monotonicMs() + MINUTES * 60_000 * SHARE.histories;
    let histories = 0;
    for (; systemClock.monotonicMs() < untilMs; histories += 1) {
      const seed = SEED + histories;
      const { violations, story } = await simulate({ seed });
      assert.deepEqual(violations, [], `TWILL_SIMULATION_SEED=${seed}:\n${story.join("\n")}`);
    }
    t.diagnostic(`${histories} histories, seeds ${SEED} to ${SEED + histories - 1}`);
  });

  it("survives faults in random order without losing a packet", {
    timeout: Number.POSITIVE_INFINITY,
  }, async (t) => {
    const untilMs = systemClock.monotonicMs() + MINUTES * 60_000 * SHARE.faults;
    const random = seededRandom(SEED);
    const lab = await startLab(t, { etcdMembers: 3, etcdOptions: ETCD_QUOTA });
    await withPods(lab);
    await leaderOf(lab);
    while (systemClock.monotonicMs() < untilMs) {
      for (const fault of shuffled([...controllerFaults(lab), ...etcdFaults(lab)], random)) {
        if (systemClock.monotonicMs() < untilMs) await survive(t, lab, fault);
      }
    }
    await assertQuietLogs(lab);
  });
});
