/** udp: one device, one route, and a table of peers instead of kernel objects. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { PlanBook } from "../../../../agent/plan/plan-book.ts";
import { udpPlanner } from "../../../../agent/plan/udp.ts";
import type { UdpBackend } from "../../../../common/config/backend-config.ts";
import { formatCidr } from "../../../../common/net/cidr.ts";
import { formatIp } from "../../../../common/net/ip.ts";
import { assertGolden } from "../../../support/golden.ts";
import { formatKernelState } from "../../../support/kernel-text.ts";
import {
  hostFacts,
  type LeaseWords,
  networkConfig,
  plannerInput,
  vxlanLease,
} from "../../../support/leases.ts";

const BACKEND: UdpBackend = { type: "udp", port: 8285 };
const CONFIG = networkConfig(BACKEND);
const words: Partial<LeaseWords> = { type: "", data: "" };
const own = vxlanLease(1, words);

function newBook(): PlanBook {
  const made = udpPlanner(plannerInput(CONFIG), BACKEND);
  assert.equal(made.kind, "planner");
  return new PlanBook(made.planner, own);
}

const peersOf = (book: PlanBook): string[] =>
  book
    .tunnelPeers()
    .map(({ subnet, remote, port }) => `${formatCidr(subnet)} ${formatIp(remote)}:${port}`);

describe("the udp planner", () => {
  it("plans the device, its address and one route for the network, whoever the peers are", () => {
    const book = newBook();
    book.update([own, vxlanLease(2, words), vxlanLease(3, words)], []);
    assertGolden("plan/udp.txt", formatKernelState(book.state()));
  });

  it("opens the tunnel at the interface's address, and registers no backend type", () => {
    const made = udpPlanner(plannerInput(CONFIG), { ...BACKEND, port: 9000 });
    assert.equal(made.kind, "planner");
    const { tunnel, mtuBytes, registration } = made.planner;
    assert.deepEqual(
      [tunnel?.deviceName, tunnel && formatIp(tunnel.bind), tunnel?.port],
      ["flannel0", "10.99.0.1", 9000],
    );
    assert.equal(mtuBytes, 1472);
    assert.deepEqual(registration, { backendType: "", backendData: "", backendV6Data: "" });
  });

  it("takes leases of every backend type as peers, and not its own", () => {
    const book = newBook();
    book.update([own, vxlanLease(2, words), vxlanLease(3), vxlanLease(4, { type: "ipip" })], []);
    assert.deepEqual(peersOf(book), [
      "10.244.2.0/24 10.99.0.2:8285",
      "10.244.3.0/24 10.99.0.3:8285",
      "10.244.4.0/24 10.99.0.4:8285",
    ]);
    assert.equal(book.peerCount, 3);
    book.update([], ["10.244.3.0-24"]);
    assert.equal(peersOf(book).length, 2);
  });

  it("leaves out a peer outside of the network or with our own address, and says so", () => {
    const book = newBook();
    const outside = vxlanLease(2, { ...words, key: "10.9.2.0-24" });
    const twin = vxlanLease(3, { ...words, ip: "10.99.0.1" });
    book.update([own, outside, twin], []);
    assert.deepEqual(peersOf(book), []);
    assert.deepEqual(
      book.problems().map(({ reason }) => /outside the network|this node's own/.test(reason)),
      [true, true],
    );
  });

  it("gives a subnet that two leases claim to one of them", () => {
    const book = newBook();
    const twice = vxlanLease(2, {
      ...words,
      key: "10.244.2.0-24&fd00:0:0:2::-64",
      ip: "10.99.0.9",
    });
    book.update([own, vxlanLease(2, words), twice], []);
    assert.deepEqual(peersOf(book), ["10.244.2.0/24 10.99.0.2:8285"]);
  });

  it("refuses a network without IPv4, an interface without it, and an MTU that leaves nothing", () => {
    const { external } = hostFacts();
    const reasonOf = (config = CONFIG, host = {}): string => {
      const made = udpPlanner(plannerInput(config, host), BACKEND);
      return made.kind === "refused" ? made.reason : "";
    };
    assert.match(reasonOf(networkConfig(BACKEND, "v6")), /IPv4 only/);
    assert.match(reasonOf(CONFIG, { external: { ...external, v4: undefined } }), /no IPv4 address/);
    assert.match(reasonOf(CONFIG, { external: { ...external, mtuBytes: 95 } }), /leaves 67 bytes/);
  });
});
