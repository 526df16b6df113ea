/**
 * IPv6 switched on beside a real flannel node without it: a lease with an IPv6 half would wedge
 * that node for good (contract 1.10), so none is written, and it is said why. On real etcd.
 */
import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import type { Lab } from "../../scripts/testbed/lab.ts";
import { until } from "../../scripts/testbed/poll.ts";
import { CONFIG_KEY, SUBNETS } from "../../scripts/testbed/registry.ts";
import { startLab } from "../support/lab.ts";
import { deleteLease, putForeignLease, routedEverywhere } from "../support/lab-checks.ts";

const SOON = { deadlineMs: 30_000, everyMs: 100 };
const WAITS_FOR_FLANNEL =
  /"lease\.refused".*waits for its IPv6 subnet.*10\.244\.200\.0-24.*--ipv6-beside-flannel/;
const V4 = { Network: "10.244.0.0/16", Backend: { Type: "vxlan" } };
const DUAL = { ...V4, EnableIPv6: true, IPv6Network: "fd44::/48" };

async function besideFlannel(
  t: TestContext,
  controllerOptions: readonly string[],
): Promise<{ lab: Lab; flannel: string }> {
  const sizes = { nodes: 1, controllers: 1 };
  const lab = await startLab(t, { ...sizes, config: JSON.stringify(V4), controllerOptions });
  const flannel = await putForeignLease(lab, 200);
  await routedEverywhere(lab, flannel, true);
  await lab.registry.put(CONFIG_KEY, JSON.stringify(DUAL));
  return { lab, flannel };
}

async function dualKeys(lab: Lab): Promise<readonly string[]> {
  const keys = (await lab.registry.list(SUBNETS)).map(({ key }) => key);
  return keys.filter((key) => key.includes("&"));
}

function becomesDual(lab: Lab): Promise<true> {
  return until("the node's lease has an IPv6 half", SOON, async () =>
    (await dualKeys(lab)).length === 1 ? true : undefined,
  );
}

describe("IPv6 beside a real flannel node without it", () => {
  it("is held back with the reason, while everything runs on, until that node is gone", async (t) => {
    const { lab, flannel } = await besideFlannel(t, []);
    const [node] = lab.nodes;
    assert.ok(node);
    // Another refusal may come before: what the node asked for before it had looked for IPv6.
    await until("the node says what it waits for", SOON, async () =>
      WAITS_FOR_FLANNEL.test(await lab.unit(node.name).log()) ? true : undefined,
    );
    assert.deepEqual(await dualKeys(lab), []);
    await routedEverywhere(lab, flannel, true);
    const check = ["twillctl", "ipam", "check"];
    const { stdout } = await lab.machine("controller1").tryExec(check);
    assert.equal(stdout.split("\n").filter((line) => line.includes("FAMILY_MISSING")).length, 1);
    await deleteLease(lab, flannel);
    await becomesDual(lab);
  });

  it("is given out at once when the operator says so", async (t) => {
    const { lab } = await besideFlannel(t, ["--ipv6-beside-flannel"]);
    await becomesDual(lab);
  });
});
