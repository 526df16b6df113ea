/** host-gw: peers as gateways on the link, and no NAT in between. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { hostGwPlanner } from "../../../../agent/plan/host-gw.ts";
import { PlanBook } from "../../../../agent/plan/plan-book.ts";
import { assertGolden } from "../../../support/golden.ts";
import { formatKernelState } from "../../../support/kernel-text.ts";
import { dualLease, hostFacts, ip, networkConfig, plannerInput } from "../../../support/leases.ts";

const CONFIG = networkConfig({ type: "host-gw" }, "dual");
const words = { type: "host-gw", data: "", data6: "" };

describe("the host-gw planner", () => {
  it("plans a route of our own protocol per peer and family", () => {
    const made = hostGwPlanner(plannerInput(CONFIG));
    assert.equal(made.kind, "planner");
    const own = dualLease(1, { ...words, ip: "10.99.0.1", ip6: "fd99::1" });
    const book = new PlanBook(made.planner, own);
    book.update([own, dualLease(2, words), dualLease(3, words), dualLease(4)], []);
    assertGolden("plan/host-gw.txt", formatKernelState(book.state()));
    assert.equal(made.planner.mtuBytes, 1500);
    assert.deepEqual(made.planner.registration, {
      backendType: "host-gw",
      backendData: "",
      backendV6Data: "",
    });
  });

  it("refuses a public address that is not the interface's", () => {
    const made = hostGwPlanner(plannerInput(CONFIG, { publicIp: ip("203.0.113.9") }));
    assert.equal(made.kind, "refused");
    assert.match(made.reason, /203\.0\.113\.9 differs from interface eth0's 10\.99\.0\.1.*NAT/);
  });

  it("refuses an interface without an address of the family", () => {
    const external = { ...hostFacts().external, v6: undefined };
    const made = hostGwPlanner(plannerInput(CONFIG, { external }));
    assert.deepEqual(made, { kind: "refused", reason: "interface eth0 has no IPv6 address" });
  });
});
