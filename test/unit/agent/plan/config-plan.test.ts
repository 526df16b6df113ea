/** What another config would change in this kernel, counted by kind. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { planConfigChange } from "../../../../agent/plan/config-plan.ts";
import type { ConfigPlan } from "../../../../proto/gen/twill/v1/node.ts";
import {
  hostFacts,
  networkConfig,
  plannerInput,
  VXLAN,
  vxlanLease,
} from "../../../support/leases.ts";

const vxlan = plannerInput(networkConfig());
const hostGw = plannerInput(networkConfig({ type: "host-gw" }));
const NODE = { own: vxlanLease(1), leases: [1, 2, 3].map((n) => vxlanLease(n)) };

function counts({ operations }: ConfigPlan): readonly string[] {
  return operations.map(({ kind, put, deleted }) => `${kind} +${put} -${deleted}`);
}

describe("the plan of a config on a node", () => {
  it("is empty when nothing changes for the kernel", () => {
    assert.deepEqual(counts(planConfigChange(vxlan, vxlan, NODE)), []);
  });

  it("replaces the routes of direct peers and drops what the tunnel needed for them", () => {
    const config = networkConfig({ ...VXLAN, directRouting: true });
    const host = hostFacts({ direct: new Set(["10.99.0.2"]) });
    const direct = { ...plannerInput(config), host };
    const plan = planConfigChange(vxlan, direct, NODE);
    assert.deepEqual(counts(plan), ["fdb +0 -1", "neighbour +0 -1", "route +1 -0"]);
  });

  it("counts every peer in both directions of a change of backend", () => {
    const there = planConfigChange(vxlan, hostGw, NODE);
    assert.deepEqual(counts(there), ["fdb +0 -2", "link +0 -1", "neighbour +0 -2", "route +2 -0"]);
    assert.deepEqual([there.mtuBytesBefore, there.mtuBytesAfter], [1450, 1500]);
    const node = {
      ...NODE,
      leases: [1, 2, 3].map((n) => vxlanLease(n, { type: "host-gw", data: "" })),
    };
    assert.deepEqual(counts(planConfigChange(hostGw, vxlan, node)), [
      "address +1 -0",
      "fdb +2 -0",
      "link +1 -0",
      "neighbour +2 -0",
      "route +2 -0",
    ]);
  });

  it("says why this host could not run it", () => {
    const host = hostFacts({ publicIp: vxlanLease(9).attrs.publicIp });
    const plan = planConfigChange(vxlan, { ...hostGw, host }, NODE);
    assert.match(plan.refusal, /host-gw cannot pass a NAT/);
  });
});
