/**
 * The udp backend in a whole cluster: its packet loop lives in the agent, so what other backends
 * leave to the kernel (restarts, deleted devices, peers that come and go) is looked at here.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Lab } from "../../scripts/testbed/lab.ts";
import { Pinger, pingOnce } from "../../scripts/testbed/pinger.ts";
import { until } from "../../scripts/testbed/poll.ts";
import { startLab } from "../support/lab.ts";

const CONFIG = '{"Network":"10.244.0.0/16","Backend":{"Type":"udp"}}';
const DEADLINE = { deadlineMs: 20_000 };

async function pods(lab: Lab) {
  await lab.waitConverged();
  for (const node of lab.nodes) await lab.addPod(node);
  const [first, second] = lab.pods;
  assert.ok(first && second);
  return { first, second };
}

/** Index, address and route of the device: what a restart must leave alone. */
async function deviceOf(lab: Lab, name: string): Promise<string> {
  const machine = lab.machine(name);
  const link = await machine.exec(["ip", "-o", "link", "show", "flannel0"]);
  const address = await machine.exec(["ip", "-o", "-4", "address", "show", "flannel0"]);
  const route = await machine.exec(["ip", "route", "show", "10.244.0.0/16"]);
  return [link.split(":")[0], address, route.replace(" linkdown", "")].join("|");
}

describe("a cluster with the udp backend", () => {
  it("writes flannel's leases, which name no backend", async (t) => {
    const lab = await startLab(t, { nodes: 2, controllers: 1, config: CONFIG });
    await lab.waitConverged();
    const leases = await lab.registry.leases();
    assert.deepEqual(
      leases.map(({ entry }) => entry.value).sort(),
      ["10.99.0.1", "10.99.0.2"].map((ip) => `{"PublicIP":"${ip}","PublicIPv6":null}`),
    );
  });

  it("carries packets again within a moment of an agent's kill -9, over the same device", async (t) => {
    const lab = await startLab(t, { nodes: 2, controllers: 1, config: CONFIG });
    const { first, second } = await pods(lab);
    const before = await deviceOf(lab, "node1");
    await using pinger = await Pinger.start(second, first);
    await lab.unit("node1").crash({ restart: true });
    await pinger.answered(50);
    const { longestGapMs, lost } = await pinger.stop();
    t.diagnostic(`kill -9: gap ${longestGapMs} ms, ${lost} pings lost`);
    assert.equal(await deviceOf(lab, "node1"), before);
  });

  it("carries packets again after a restart while no controller answers", async (t) => {
    const lab = await startLab(t, { nodes: 2, controllers: 1, config: CONFIG });
    const { first, second } = await pods(lab);
    const key = second.ip.replace(/[0-9]+$/, "0-24");
    await until("node1's cache knows node2", DEADLINE, async () => {
      const table = await lab.machine("node1").tryExec(["cat", "/var/lib/twill/table"]);
      return table.stdout.includes(key) ? true : undefined;
    });
    await lab.unit("controller1").stop();
    await using pinger = await Pinger.start(second, first);
    await lab.unit("node1").crash({ restart: true });
    await pinger.answered(50);
    const { longestGapMs, lost } = await pinger.stop();
    t.diagnostic(`no controllers: gap ${longestGapMs} ms, ${lost} pings lost`);
  });

  it("makes a deleted device anew and goes on", async (t) => {
    const lab = await startLab(t, { nodes: 2, controllers: 1, config: CONFIG });
    const { first, second } = await pods(lab);
    await using pinger = await Pinger.start(second, first);
    await lab.machine("node1").exec(["ip", "link", "del", "flannel0"]);
    await pinger.answered(50);
    const { longestGapMs, lost } = await pinger.stop();
    t.diagnostic(`device deleted: gap ${longestGapMs} ms, ${lost} pings lost`);
    await lab.waitConverged();
  });

  it("forgets a peer that has left: packets to it are answered at once", async (t) => {
    const lab = await startLab(t, { nodes: 2, controllers: 1, config: CONFIG });
    const { first, second } = await pods(lab);
    assert.ok(await pingOnce(first, second));
    await lab.removeNode("node2");
    await until("the network is unreachable", DEADLINE, async () => {
      const ping = ["ping", "-n", "-c", "1", "-W", "1", second.ip];
      const { stdout } = await first.machine.tryExecInPod(first.name, ping);
      return stdout.includes("Destination Net Unreachable") ? true : undefined;
    });
  });
});
