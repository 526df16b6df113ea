/**
 * What happens to nodes: agents are killed, operators and other daemons delete, rewrite and
 * flush what is ours, cables and addresses change. Everything is repaired by itself, and where
 * only the agent dies no packet is lost.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { systemClock } from "../../common/async/clock.ts";
import type { Lab } from "../../scripts/testbed/lab.ts";
import type { Machine } from "../../scripts/testbed/machine.ts";
import { until } from "../../scripts/testbed/poll.ts";
import { GATEWAY } from "../../scripts/testbed/topology.ts";
import { assertQuietLogs, type Fault, survive } from "../support/fault-run.ts";
import { contested, handEdits } from "../support/hand-edits.ts";
import { startLab } from "../support/lab.ts";
import { overlayText, waitReady, withPods } from "../support/lab-checks.ts";

const SEED = Number(process.env["TWILL_FAULT_SEED"] ?? 1);
const EDITS = Number(process.env["TWILL_HAND_EDITS"] ?? 120);
const SOON_MS = 20_000;

describe("nodes", () => {
  it("are repaired whatever is done to them", { timeout: 400_000 }, async (t) => {
    const lab = await startLab(t, { controllers: 2 });
    await withPods(lab);
    const [node] = lab.nodes;
    assert.ok(node);
    for (const fault of [...agentFaults(lab, node), ...kernelFaults(lab, node)]) {
      await survive(t, lab, fault);
    }
    await t.test(`${EDITS} random edits by hand`, async (sub) => {
      sub.diagnostic(await handEdits(lab, node, { edits: EDITS, seed: SEED }));
    });
    await t.test("another daemon deletes a route 20 times a second", async (sub) => {
      sub.diagnostic(await contested(lab, node));
    });
    await t.test("no log repeated itself", () => assertQuietLogs(lab));
  });
});

function agentFaults(lab: Lab, node: Machine): Fault[] {
  const agent = lab.unit(node.name);
  return [
    {
      name: "an agent is killed",
      run: async () => {
        await agent.crash({ restart: true });
        await waitReady(node);
        return "it is ready again";
      },
    },
    {
      name: "an agent is told to stop, and starts again",
      run: async () => {
        await agent.restart();
        await waitReady(node);
        return "it is ready again";
      },
    },
  ];
}

/** Whatever these take away, pods feel it until it is repaired. */
function kernelFaults(lab: Lab, node: Machine): Fault[] {
  const dev = ["dev", "flannel.1"];
  const byHand = (name: string, ...argvs: readonly (readonly string[])[]): Fault => ({
    name,
    costsPings: true,
    run: () =>
      repairTime(lab, node, async () => {
        for (const argv of argvs) await node.exec(argv);
      }),
  });
  return [
    byHand("the device is deleted", ["ip", "link", "del", ...dev]),
    byHand("the device is set down", ["ip", "link", "set", ...dev, "down"]),
    byHand("the device's MAC is rewritten", [
      ...["ip", "link", "set", ...dev, "address", "02:00:00:00:00:99"],
    ]),
    byHand("routes are flushed", ["ip", "route", "flush", ...dev]),
    byHand("neighbours are flushed", ["ip", "neigh", "flush", "nud", "permanent", ...dev]),
    byHand("FDB entries are deleted", ["sh", "-c", FLUSH_FDB]),
    byHand("nft's ruleset is flushed", ["nft", "flush", "ruleset"]),
    byHand("iptables are flushed", ["iptables", "-F"], ["iptables", "-t", "nat", "-F"]),
    byHand(
      "the underlay's device goes down and up",
      ["ip", "link", "set", "dev", "eth0", "down"],
      ["ip", "link", "set", "dev", "eth0", "up"],
      ["ip", "route", "replace", "default", "via", GATEWAY, "dev", "eth0"],
    ),
    { name: "the cable is out and in", costsPings: true, run: () => replugged(lab, node) },
    { name: "the node's address changes", costsPings: true, run: () => readdressed(lab) },
    { name: "the node is started anew", costsPings: true, run: () => rebooted(lab, node) },
  ];
}

const FLUSH_FDB =
  "bridge fdb show dev flannel.1 | while read -r mac rest; do bridge fdb del $mac dev flannel.1; done";

/** How long the node's overlay, as an operator sees it, is not as it was. */
async function repairTime(lab: Lab, node: Machine, edit: () => Promise<void>): Promise<string> {
  const before = await overlayAndRules(lab, node);
  await edit();
  const since = systemClock.monotonicMs();
  await until(`${node.name} is as before`, { deadlineMs: SOON_MS, everyMs: 10 }, async () => {
    const now = await overlayAndRules(lab, node);
    if (now === before) return true;
    throw new Error(firstDifference(before, now));
  });
  return `repaired within ${Math.round(systemClock.monotonicMs() - since)} ms`;
}

async function overlayAndRules(lab: Lab, node: Machine): Promise<string> {
  const [overlay, rules] = await Promise.all([
    overlayText(lab, node),
    node.exec(["sh", "-c", "iptables-save | grep -v '^[#:]' | sed 's/ -c [0-9 ]*//' | sort -u"]),
  ]);
  return overlay + rules;
}

function firstDifference(before: string, now: string): string {
  const has = new Set(now.split("\n"));
  return before.split("\n").find((line) => !has.has(line)) ?? "something is there in addition";
}

async function replugged(lab: Lab, node: Machine): Promise<string> {
  await lab.underlay.setCable(node, false);
  await until("no carrier", { deadlineMs: SOON_MS }, async () =>
    (await node.exec(["ip", "link", "show", "eth0"])).includes("NO-CARRIER") ? true : undefined,
  );
  const since = systemClock.monotonicMs();
  await lab.underlay.setCable(node, true);
  await lab.waitConverged();
  return `converged ${Math.round(systemClock.monotonicMs() - since)} ms after`;
}

/** Another address, as a new DHCP lease brings it, and the old one back. */
async function readdressed(lab: Lab): Promise<string> {
  const node = lab.nodes.at(-1);
  assert.ok(node);
  const before = await lab.leaseOf(node);
  const took: number[] = [];
  for (const [from, to] of [
    [node.id.ip, "10.99.0.133"],
    ["10.99.0.133", node.id.ip],
  ] as const) {
    const since = systemClock.monotonicMs();
    // In this order: an address of the same network goes with the first one.
    await node.exec(["ip", "address", "del", `${from}/16`, "dev", "eth0"]);
    await node.exec(["ip", "address", "add", `${to}/16`, "dev", "eth0"]);
    await node.exec(["ip", "route", "replace", "default", "via", GATEWAY, "dev", "eth0"]);
    await until(`the lease says ${to}`, { deadlineMs: SOON_MS, everyMs: 10 }, async () => {
      const lease = (await lab.registry.leases()).find((row) => row.publicIp === to);
      return lease?.subnet === before.subnet ? true : undefined;
    });
    took.push(Math.round(systemClock.monotonicMs() - since));
  }
  await lab.waitConverged();
  return `its lease followed after ${took.join(" and ")} ms, with the same subnet`;
}

/** Everything of ours in the kernel and in /run is gone, as after a reboot. */
async function rebooted(lab: Lab, node: Machine): Promise<string> {
  const before = await lab.leaseOf(node);
  const agent = lab.unit(node.name);
  await agent.crash({ restart: false });
  await node.exec(["ip", "link", "del", "dev", "flannel.1"]);
  await node.exec(["nft", "flush", "ruleset"]);
  await node.exec(["rm", "-rf", "/run/flannel"]);
  const since = systemClock.monotonicMs();
  agent.start();
  await lab.subnetReady(node);
  await lab.waitConverged();
  const tookMs = Math.round(systemClock.monotonicMs() - since);
  const after = await lab.leaseOf(node);
  assert.equal(after.entry.value, before.entry.value);
  assert.equal(after.subnet, before.subnet);
  return `converged ${tookMs} ms after its agent started, with the same lease`;
}
