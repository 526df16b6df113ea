/** What operators change and look back on, on one whole cluster: each verb, and what it leaves. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { readKernel } from "../../scripts/testbed/kernel-view.ts";
import type { Machine } from "../../scripts/testbed/machine.ts";
import { until } from "../../scripts/testbed/poll.ts";
import { startLab } from "../support/lab.ts";
import { deleteLease, putForeignLease } from "../support/lab-checks.ts";

const SOON = { deadlineMs: 30_000 };

async function routedOn(node: Machine, subnet: string, isRouted: boolean): Promise<void> {
  await until(`${node.name} ${isRouted ? "has" : "has no"} route to ${subnet}`, SOON, async () => {
    const { routes } = await readKernel(node);
    const has = routes.some(({ destination }) => destination === subnet);
    return has === isRouted ? true : undefined;
  });
}

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

    await t.test("a plan changes nothing, the same with --yes does, and is told", async () => {
      const key = "10.244.77.0-24";
      const reserve = ["reserve", key, "--public-ip", "10.99.200.77"];
      const plan = await twillctl(...reserve);
      assert.match(plan.stdout, /nothing was changed: repeat it with --yes/, plan.stderr);
      assert.doesNotMatch((await twillctl("leases")).stdout, /10\.244\.77/);
      assert.match((await twillctl(...reserve, "--yes")).stdout, /^done at revision [0-9]+$/m);
      assert.match((await twillctl("leases")).stdout, /^10\.244\.77\.0-24 +\(reserved\) /m);
      assert.equal((await twillctl(...reserve, "--yes")).code, 1, "it is taken now");
      assert.match((await twillctl("release", key, "--yes")).stdout, /^done at revision/m);
      const { stdout } = await twillctl("history", key);
      assert.match(stdout, / lease\.reserved .* lease\.released /s, stdout);
      assert.match(stdout, /operator\//, stdout);
    });

    await t.test("a drained node is out until it is let in, with the subnet it had", async () => {
      const subnet = async (): Promise<string> =>
        /^10\.244\.[0-9]+\.0-24(?= +node3 )/m.exec((await twillctl("leases")).stdout)?.[0] ?? "";
      const before = await subnet();
      assert.match((await twillctl("node", "drain", "node3", "--yes")).stdout, /^done at/m);
      const routed = before.replace("-", "/");
      await routedOn(lab.machine("node1"), routed, false);
      const again = await twillctl("node", "drain", "node3", "--yes");
      assert.match(again.stdout, /nothing to do\nnode node3 is drained since/);
      assert.equal(await subnet(), "");
      assert.match((await twillctl("node", "undrain", "node3", "--yes")).stdout, /^done at/m);
      await routedOn(lab.machine("node1"), routed, true);
      assert.equal(await subnet(), before);
    });

    await t.test("a config is applied as planned or not at all, and can be put back", async () => {
      const old = (await lab.registry.list("/coreos.com/network/config"))[0]?.value ?? "";
      const wider = JSON.stringify({ ...JSON.parse(old), SubnetMin: "10.244.100.0" });
      const file = "/tmp/wider.json";
      await machine.exec(["bash", "-c", 'printf %s "$1" > "$2"', "-", wider, file]);
      const leases = (await twillctl("leases")).stdout;
      const plan = await twillctl("config", "plan", file);
      assert.doesNotMatch(plan.stdout, /MOVES/, plan.stderr);
      assert.match((await twillctl("config", "apply", file, "--yes")).stdout, /^done at/m);
      assert.match((await twillctl("config", "show")).stdout, /"SubnetMin": "10\.244\.100\.0"/);
      await lab.waitConverged();
      const told = (await twillctl("config", "history")).stdout;
      const revision = /^([0-9]+) .* config\.applied /m.exec(told)?.[1] ?? "";
      const back = await twillctl("config", "rollback", String(Number(revision) - 1), "--yes");
      assert.match(back.stdout, /^done at/m, back.stderr);
      assert.equal((await lab.registry.list("/coreos.com/network/config"))[0]?.value, old);
      await lab.waitConverged();
      const keys = (text: string) => text.match(/^10\.244\.[0-9]+\.0-24 +node[0-9]/gm);
      assert.deepEqual(keys((await twillctl("leases")).stdout), keys(leases), "nobody moved");
    });
  });
});
