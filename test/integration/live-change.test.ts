/**
 * The backend is changed under running pods: every pod pings the next 100 times a second, and
 * not one packet may be lost, whatever happens to the change.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { readKernel } from "../../scripts/testbed/kernel-view.ts";
import type { Lab } from "../../scripts/testbed/lab.ts";
import { until } from "../../scripts/testbed/poll.ts";
import { startLab } from "../support/lab.ts";
import { withoutLoss, withPods } from "../support/lab-checks.ts";

const SOON = { deadlineMs: 30_000 };
const CONFIG = "/coreos.com/network/config";

interface Applied {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

describe("a change of backend", () => {
  it("loses no packet: there, undone, with a dead leader, and back", async (t) => {
    const lab = await startLab(t, { nodes: 3, controllers: 2 });
    await withPods(lab);
    const [first] = await lab.registry.list(CONFIG);
    const vxlan = first?.value ?? "";

    await t.test("vxlan to DirectRouting and back, route by route", async () => {
      await withoutLoss(lab, async () => {
        assert.equal((await apply(lab, backend(vxlan, "vxlan", { DirectRouting: true }))).code, 0);
        await routesBy(lab, "eth0");
        assert.equal((await apply(lab, vxlan)).code, 0);
        await routesBy(lab, "flannel.1");
      });
    });

    await t.test("vxlan to host-gw: prepared, switched, and the device is gone", async () => {
      await withoutLoss(lab, async () => {
        const { code, stdout, stderr } = await apply(lab, backend(vxlan, "host-gw"));
        assert.equal(code, 0, stderr);
        const plan =
          "fdb -2, link -1, neighbour -2, route \\+2; MTU of new containers 1450 to 1500";
        for (const { name } of lab.nodes)
          assert.match(stdout, new RegExp(`^  ${name}: ${plan}$`, "m"));
        assert.match(stderr, /backend\.changing\n.*backend\.switching\n.*backend\.changed\n/);
        await routesBy(lab, "eth0");
        await until("no vxlan device is left", SOON, async () => {
          const all = await Promise.all(lab.nodes.map((node) => node.exec(["ip", "link"])));
          return all.some((links) => links.includes("flannel.1")) ? undefined : true;
        });
      });
    });

    await t.test("host-gw to vxlan, while the leader dies and another goes on", async () => {
      await withoutLoss(lab, async () => {
        const leader = await until("a leader", SOON, () => lab.leader());
        const applied = apply(lab, vxlan);
        await until("the change has begun", SOON, async () => {
          const [rollout] = await lab.registry.list("/coreos.com/network/twill/rollout");
          return rollout === undefined ? undefined : true;
        });
        await leader.crash({ restart: true });
        await applied;
        await until("the change is over", SOON, async () => {
          const [rollout] = await lab.registry.list("/coreos.com/network/twill/rollout");
          return rollout === undefined ? true : undefined;
        });
        await routesBy(lab, "flannel.1");
      });
      assert.equal((await lab.registry.list(CONFIG))[0]?.value, vxlan);
    });

    await t.test("is undone when a node does not follow in time", async () => {
      await withoutLoss(lab, async () => {
        const node3 = lab.unit("node3");
        node3.pause();
        const late = await apply(lab, backend(vxlan, "host-gw"), "--timeout", "5s");
        node3.resume();
        assert.equal(late.code, 3, late.stderr);
        assert.match(late.stderr, /backend\.unchanged: not within the time: node3/);
        assert.equal((await lab.registry.list(CONFIG))[0]?.value, vxlan);
        await routesBy(lab, "flannel.1");
      });
    });
  });
});

function backend(config: string, Type: string, more: object = {}): string {
  return JSON.stringify({ ...JSON.parse(config), Backend: { Type, ...more } });
}

async function apply(lab: Lab, config: string, ...flags: string[]): Promise<Applied> {
  const machine = lab.machine("controller1");
  const script =
    'printf %s "$1" > /tmp/new.json; shift; exec twillctl config apply /tmp/new.json "$@"';
  return machine.tryExec(["bash", "-c", script, "-", config, "--yes", ...flags]);
}

/** Every node reaches every other's subnet through this device. */
async function routesBy(lab: Lab, device: string): Promise<void> {
  await until(`peers are reached by ${device}`, SOON, async () => {
    const views = await Promise.all(lab.nodes.map(readKernel));
    const counts = views.map(
      ({ routes }) =>
        routes.filter(
          (route) => route.device === device && /^10\.244\.[0-9]+\.0\/24$/.test(route.destination),
        ).length,
    );
    return counts.every((count) => count === lab.nodes.length - 1) ? true : undefined;
  });
}
