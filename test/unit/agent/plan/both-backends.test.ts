/** Both backends stand at once, and each peer is reached as its own lease says. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { makeNodePlanner } from "../../../../agent/plan/both-backends.ts";
import { formatObject } from "../../../../agent/plan/kernel-object.ts";
import type { Lease } from "../../../../common/lease/lease.ts";
import { networkConfig, plannerInput, vxlanLease } from "../../../support/leases.ts";

const OWN = vxlanLease(1);
const vxlan = plannerInput(networkConfig());
const hostGw = plannerInput(networkConfig({ type: "host-gw" }));

function planner(main: typeof vxlan, also: typeof vxlan) {
  const made = makeNodePlanner(main, also);
  assert.ok(made.kind === "planner");
  return made.planner;
}

function objects(lease: Lease): readonly string[] {
  const parts = planner(vxlan, hostGw).peer(lease, OWN);
  return parts.flatMap((part) => (part.kind === "usable" ? part.objects.map(formatObject) : []));
}

describe("two backends at once", () => {
  it("have the devices and addresses of both, and the registration of the config's", () => {
    const there = planner(vxlan, hostGw);
    const back = planner(hostGw, vxlan);
    for (const both of [there, back]) {
      assert.deepEqual(
        both.links.map(({ name }) => name),
        ["flannel.1"],
      );
      assert.equal(both.own(OWN).length, 1);
      assert.equal(both.mtuBytes, 1450, "the smaller one");
    }
    assert.deepEqual(
      [there.registration.backendType, back.registration.backendType],
      ["vxlan", "host-gw"],
    );
  });

  it("reach each peer by the backend of its lease alone", () => {
    assert.deepEqual(objects(vxlanLease(2)), [
      "10.244.2.0 dev flannel.1 lladdr 02:00:00:00:00:02 PERMANENT",
      "02:00:00:00:00:02 dev flannel.1 dst 10.99.0.2 self permanent",
      "10.244.2.0/24 via 10.244.2.0 dev flannel.1 proto boot onlink",
    ]);
    const other = objects(vxlanLease(2, { type: "host-gw", data: "" }));
    assert.equal(other.length, 1);
    assert.match(other[0] ?? "", /^10\.244\.2\.0\/24 via 10\.99\.0\.2 dev eth0/);
  });

  it("are refused when this host can run only one of them", () => {
    const { host } = hostGw;
    const natted = { ...host, publicIp: vxlanLease(9).attrs.publicIp };
    const made = makeNodePlanner({ ...vxlan, host: natted }, { ...hostGw });
    assert.ok(made.kind === "refused" && made.reason.includes("host-gw"));
  });
});
