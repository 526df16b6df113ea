/** What a node with VXLAN wants of its kernel, as whole states and case by case. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { BackendPlanner } from "../../../../agent/plan/backend-planner.ts";
import { formatObject } from "../../../../agent/plan/kernel-object.ts";
import { PlanBook } from "../../../../agent/plan/plan-book.ts";
import { vxlanDeviceName, vxlanPlanner } from "../../../../agent/plan/vxlan.ts";
import type { VxlanBackend } from "../../../../common/config/backend-config.ts";
import type { Lease } from "../../../../common/lease/lease.ts";
import { assertGolden } from "../../../support/golden.ts";
import { formatKernelState } from "../../../support/kernel-text.ts";
import {
  dualLease,
  hostFacts,
  IDENTITY,
  ip,
  lease,
  networkConfig,
  plannerInput,
  VXLAN,
  vtepData,
  vxlanLease,
} from "../../../support/leases.ts";

function planner(
  backend: Partial<VxlanBackend> = {},
  families: "v4" | "v6" | "dual" = "v4",
  direct: readonly string[] = [],
): BackendPlanner {
  const whole = { ...VXLAN, ...backend };
  const made = vxlanPlanner(
    plannerInput(networkConfig(whole, families), { direct: new Set(direct) }),
    whole,
  );
  assert.equal(made.kind, "planner", made.kind === "refused" ? made.reason : "");
  return made.planner;
}

function stateOf(made: BackendPlanner, own: Lease, peers: readonly Lease[]): string {
  const book = new PlanBook(made, own);
  book.update(peers, []);
  return formatKernelState(book.state());
}

const OWN = vxlanLease(1, { ip: "10.99.0.1", data: vtepData(IDENTITY.vtepMac) });

describe("the vxlan planner", () => {
  it("plans flannel's objects for three peers", () => {
    const peers = [OWN, vxlanLease(2), vxlanLease(3), vxlanLease(4)];
    assertGolden("plan/vxlan.txt", stateOf(planner(), OWN, peers));
  });

  it("plans dual stack on two devices, each with its own MAC and MTU", () => {
    const own = dualLease(1, { ip: "10.99.0.1", ip6: "fd99::1" });
    const peers = [own, dualLease(2), dualLease(3), vxlanLease(4)];
    const made = planner({}, "dual");
    assertGolden("plan/vxlan-dual.txt", stateOf(made, own, peers));
    assert.equal(made.mtuBytes, 1430, "containers have one MTU, which both devices must carry");
  });

  it("plans an IPv6-only network", () => {
    const own = lease({ key: "0.0.0.0-0&fd00:0:0:1::-64", ip6: "fd99::1" });
    const words = { ip6: "fd99::2", data6: vtepData("02:00:00:00:10:02") };
    const peer = lease({ key: "0.0.0.0-0&fd00:0:0:2::-64", ...words });
    const made = planner({}, "v6");
    assertGolden("plan/vxlan-v6.txt", stateOf(made, own, [own, peer]));
    assert.equal(made.registration.backendData, "");
  });

  it("sends directly to peers on the same link, with DirectRouting only", () => {
    const peers = [vxlanLease(2), vxlanLease(3)];
    const direct = stateOf(planner({ directRouting: true }, "v4", ["10.99.0.2"]), OWN, peers);
    assertGolden("plan/vxlan-direct.txt", direct);
    const off = stateOf(planner({}, "v4", ["10.99.0.2"]), OWN, peers);
    assert.equal(off, stateOf(planner(), OWN, peers));
  });

  it("passes the config on to the device", () => {
    const made = planner({ vni: 77, port: 4789, gbp: true, learning: true, mtuBytes: 1400 });
    assert.deepEqual(made.links, [
      {
        kind: "vxlan",
        name: "flannel.77",
        mtuBytes: 1350,
        mac: IDENTITY.vtepMac,
        vni: 77,
        lower: "eth0",
        local: ip("10.99.0.1"),
        port: 4789,
        learning: true,
        gbp: true,
      },
    ]);
    assert.equal(vxlanDeviceName(77, 6), "flannel-v6.77");
  });

  it("uses the interface's own address as local, not the public one", () => {
    const input = plannerInput(networkConfig(), { publicIp: ip("203.0.113.9") });
    const made = vxlanPlanner(input, VXLAN);
    assert.equal(made.kind, "planner");
    const [link] = made.planner.links;
    assert.deepEqual(link?.kind === "vxlan" && link.local, ip("10.99.0.1"));
  });

  it("registers flannel's exact backend data", () => {
    assert.deepEqual(planner().registration, {
      backendType: "vxlan",
      backendData: '{"VNI":1,"VtepMAC":"7e:00:00:00:00:01"}',
      backendV6Data: "",
    });
    const dual = planner({}, "dual").registration;
    assert.equal(dual.backendV6Data, '{"VNI":1,"VtepMAC":"7e:00:00:00:00:02"}');
  });

  it("uses the sound family of a peer whose other family is broken", () => {
    const own = dualLease(1, { ip: "10.99.0.1", ip6: "fd99::1" });
    const parts = planner({}, "dual").peer(dualLease(2, { data6: "" }), own);
    assert.deepEqual(
      parts.map((part) => (part.kind === "invalid" ? part.reason : part.family)),
      [4, "it has no BackendV6Data"],
    );
  });

  it("claims the subnet and the MAC of a peer, which cover the keys of its objects", () => {
    const [part] = planner().peer(vxlanLease(2), OWN);
    assert.equal(part?.kind, "usable");
    assert.deepEqual(part.claims, ["subnet 10.244.2.0/24", "MAC 02:00:00:00:00:02"]);
    assert.deepEqual(part.objects.map(formatObject), [
      "10.244.2.0 dev flannel.1 lladdr 02:00:00:00:00:02 PERMANENT",
      "02:00:00:00:00:02 dev flannel.1 dst 10.99.0.2 self permanent",
      "10.244.2.0/24 via 10.244.2.0 dev flannel.1 proto boot onlink",
    ]);
  });

  it("refuses a host without an address of the family, and a link too small for it", () => {
    const external = { ...hostFacts().external, v6: undefined };
    const noV6 = vxlanPlanner(plannerInput(networkConfig(VXLAN, "dual"), { external }), VXLAN);
    assert.deepEqual(noV6, { kind: "refused", reason: "interface eth0 has no IPv6 address" });
    const small = { ...hostFacts().external, mtuBytes: 1300 };
    const tight = vxlanPlanner(
      plannerInput(networkConfig(VXLAN, "v6"), { external: small }),
      VXLAN,
    );
    assert.equal(tight.kind, "refused");
    assert.match(tight.reason, /eth0 with MTU 1300 leaves 1230 bytes .* needs 1280/);
  });
});
