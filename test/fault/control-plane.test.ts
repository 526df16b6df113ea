/**
 * Three nodes, three controllers, three etcd members, and everything that can happen to the
 * last two kinds, one after the other in one lab: no packet between pods is lost, and
 * afterwards everything works again by itself.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { controllerFaults, ETCD_QUOTA, etcdFaults } from "../support/control-plane-faults.ts";
import { assertQuietLogs, leaderOf, survive } from "../support/fault-run.ts";
import { startLab } from "../support/lab.ts";
import { putForeignLease, routedEverywhere, withPods } from "../support/lab-checks.ts";

describe("three nodes, three controllers, three etcd members", () => {
  it("lose no packet and come back by themselves", { timeout: 480_000 }, async (t) => {
    const lab = await startLab(t, {
      etcdMembers: 3,
      etcdOptions: ETCD_QUOTA,
    });
    await withPods(lab);
    await leaderOf(lab);
    const foreign = await putForeignLease(lab, 199);
    for (const fault of [...controllerFaults(lab), ...etcdFaults(lab)]) {
      await survive(t, lab, fault);
    }
    await t.test("a real flannel's lease is as it was", async () => {
      await routedEverywhere(lab, foreign, true);
      const row = (await lab.registry.leases()).find(({ subnet }) => subnet === foreign);
      assert.equal(row?.publicIp, "10.99.200.199");
    });
    await t.test("no log repeated itself", () => assertQuietLogs(lab));
  });
});
