/** What operators change and look back on, on one whole cluster: each verb, and what it leaves. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { until } from "../../scripts/testbed/poll.ts";
import { startLab } from "../support/lab.ts";
import { deleteLease, putForeignLease } from "../support/lab-checks.ts";

const SOON = { deadlineMs: 30_000 };

describe("an operator's changes", () => {
  it("are made once, told in the journal, and can be looked back on", async (t) => {
    const lab = await startLab(t, { nodes: 3, controllers: 2 });
    const machine = lab.machine("controller1");
    const twillctl = (...args: string[]) => machine.tryExec(["twillctl", ...args]);
    await lab.waitConverged();

    await t.test("history names the nodes that took leases, through a compaction", async () => {
      const subnet = await putForeignLease(lab, 200);
      await until("the foreign lease is told", SOON, async () => {
        const { stdout } = await twillctl("history", "10.244.200.0-24");
        return stdout.includes("outside") ? true : undefined;
      });
      await deleteLease(lab, subnet);
      const text = await until("all is told", SOON, async () => {
        const { stdout } = await twillctl("history");
        return /10\.244\.200\.0-24 is gone/.test(stdout) ? stdout : undefined;
      });
      for (const node of ["node1", "node2", "node3"]) {
        assert.match(text, new RegExp(`node/${node} +lease.allocated +${node} `), text);
      }
      const [revision = ""] = /^[0-9]+(?= .*10\.244\.200\.0-24 is new)/m.exec(text) ?? [];
      const gone = /^([0-9]+) .*10\.244\.200\.0-24 is gone/m.exec(text)?.[1] ?? "";
      await lab.registry.etcdctl(["compact", gone]);
      const then = await twillctl("show", "--at", revision);
      assert.match(then.stdout, /^subnets\/10\.244\.200\.0-24 +outside /m, then.stderr);
      assert.doesNotMatch((await twillctl("show")).stdout, /10\.244\.200\.0-24/);
      const between = await twillctl("diff", revision);
      assert.match(between.stdout, /^subnets\/10\.244\.200\.0-24 +removed /m, between.stderr);
      const early = await twillctl("show", "--at", "1");
      assert.equal(early.code, 2, early.stdout);
      assert.match(early.stderr, /the journal knows what was at revision [0-9]+ and later/);
    });
  });
});
