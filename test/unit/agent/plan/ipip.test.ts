/** ipip: one device without a remote, and an onlink route per peer. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { HostFacts } from "../../../../agent/plan/host-facts.ts";
import { ipipPlanner } from "../../../../agent/plan/ipip.ts";
import { PlanBook } from "../../../../agent/plan/plan-book.ts";
import type { IpipBackend } from "../../../../common/config/backend-config.ts";
import { assertGolden } from "../../../support/golden.ts";
import { formatKernelState } from "../../../support/kernel-text.ts";
import {
  hostFacts,
  type LeaseWords,
  networkConfig,
  plannerInput,
  vxlanLease,
} from "../../../support/leases.ts";

const BACKEND: IpipBackend = { type: "ipip", directRouting: false };
const CONFIG = networkConfig(BACKEND);
const words: Partial<LeaseWords> = { type: "ipip", data: "" };
const own = vxlanLease(1, words);

function newBook(backend = BACKEND, host: Partial<HostFacts> = {}): PlanBook {
  const made = ipipPlanner(plannerInput(CONFIG, host), backend);
  assert.equal(made.kind, "planner");
  return new PlanBook(made.planner, own);
}

describe("the ipip planner", () => {
  it("plans the device, its address and a route per peer through the tunnel", () => {
    const book = newBook();
    book.update([own, vxlanLease(2, words), vxlanLease(3, words), vxlanLease(4)], []);
    assertGolden("plan/ipip.txt", formatKernelState(book.state()));
  });

  it("routes peers on the same link directly when the config says so", () => {
    const host = { direct: new Set(["10.99.0.2"]) };
    const book = newBook({ ...BACKEND, directRouting: true }, host);
    book.update([own, vxlanLease(2, words), vxlanLease(3, words)], []);
    assertGolden("plan/ipip-direct.txt", formatKernelState(book.state()));
  });

  it("keeps the tunnel for everybody when the config does not say so", () => {
    const book = newBook(BACKEND, { direct: new Set(["10.99.0.2"]) });
    book.update([own, vxlanLease(2, words)], []);
    assert.match(formatKernelState(book.state()), /via 10\.99\.0\.2 dev flannel\.ipip/);
  });

  it("registers flannel's type without data, and 20 bytes less than the interface carries", () => {
    const made = ipipPlanner(plannerInput(CONFIG), BACKEND);
    assert.equal(made.kind, "planner");
    assert.deepEqual(made.planner.registration, {
      backendType: "ipip",
      backendData: "",
      backendV6Data: "",
    });
    assert.equal(made.planner.mtuBytes, 1480);
  });

  it("gives a subnet that two leases claim to one of them, and says so", () => {
    const book = newBook();
    const twice = vxlanLease(2, { ...words, key: "10.244.2.0-24&fd00:0:0:2::-64", ip: "10.9.9.9" });
    book.update([own, vxlanLease(2, words), twice], []);
    assert.match(formatKernelState(book.state()), /10\.244\.2\.0\/24 via 10\.99\.0\.2 /);
    assert.equal(book.problems().length, 2);
  });

  it("refuses IPv6, an interface without IPv4, and an MTU that leaves nothing", () => {
    const { external } = hostFacts();
    const reasonOf = (config = CONFIG, host = {}): string => {
      const made = ipipPlanner(plannerInput(config, host), BACKEND);
      return made.kind === "refused" ? made.reason : "";
    };
    assert.match(reasonOf(networkConfig(BACKEND, "dual")), /IPv4 only/);
    assert.match(reasonOf(CONFIG, { external: { ...external, v4: undefined } }), /no IPv4 address/);
    assert.match(reasonOf(CONFIG, { external: { ...external, mtuBytes: 80 } }), /leaves 60 bytes/);
  });
});
