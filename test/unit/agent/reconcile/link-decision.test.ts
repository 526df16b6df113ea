/** flannel's rule for using a device that is there, case by case. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { LinkState, VxlanInfo } from "../../../../agent/kernel/kernel.ts";
import type { VxlanLink } from "../../../../agent/plan/kernel-state.ts";
import { decideLink } from "../../../../agent/reconcile/link-decision.ts";
import { ip, mac } from "../../../support/leases.ts";

const SPEC: VxlanLink = {
  kind: "vxlan",
  name: "flannel.1",
  mtuBytes: 1450,
  mac: mac("7e:00:00:00:00:01"),
  vni: 1,
  lower: "eth0",
  local: ip("10.99.0.1"),
  port: 8472,
  learning: false,
  gbp: false,
};

function lower(index = 2): LinkState {
  return device({ index, name: "eth0", kind: "", vxlan: undefined });
}

function device(words: Partial<LinkState> = {}, vxlan: Partial<VxlanInfo> = {}): LinkState {
  return {
    index: 9,
    name: "flannel.1",
    kind: "vxlan",
    up: true,
    running: true,
    mtuBytes: 1450,
    mac: SPEC.mac,
    lowerIndex: 0,
    vxlan: {
      vni: 1,
      lowerIndex: 2,
      local: SPEC.local,
      group: undefined,
      port: 8472,
      learning: false,
      gbp: false,
      l2miss: false,
      l3miss: false,
      ...vxlan,
    },
    ...words,
  };
}

const decide = (actual: LinkState | undefined, spec = SPEC) => decideLink(spec, actual, lower());

describe("deciding about a device", () => {
  it("creates it, uses it, or leaves another kind alone", () => {
    assert.deepEqual(decide(undefined), { kind: "create" });
    assert.deepEqual(decide(device()), { kind: "use" });
    assert.equal(decide(device({ kind: "dummy", vxlan: undefined })).kind, "foreign");
  });

  const misfits: [string, Partial<VxlanInfo>][] = [
    ["VNI 7", { vni: 7 }],
    ["lower device 3, not eth0 (2)", { lowerIndex: 3 }],
    ["local 10.99.0.7", { local: ip("10.99.0.7") }],
    ["group 239.0.0.1", { group: ip("239.0.0.1") }],
    ["l2miss", { l2miss: true }],
    ["port 4789", { port: 4789 }],
    ["gbp", { gbp: true }],
  ];
  for (const [found, vxlan] of misfits) {
    it(`makes it anew for ${found}`, () => {
      assert.deepEqual(decide(device({}, vxlan)), { kind: "recreate", found });
    });
  }

  it("switches checksum offload off where that is asked for, and never on", () => {
    const off = { ...SPEC, txChecksumOff: true };
    assert.deepEqual(decide(device({ txChecksum: true }), off), {
      kind: "change",
      set: { txChecksum: false },
      found: "tx-checksum-ip-generic on",
    });
    assert.equal(decide(device({ txChecksum: false }), off).kind, "use");
    // A kernel that does not say has nothing to switch.
    assert.equal(decide(device(), off).kind, "use");
    assert.equal(decide(device({ txChecksum: false })).kind, "use");
  });

  it("uses it where either side does not say: lower device, local address, port", () => {
    assert.equal(decide(device({}, { lowerIndex: 0 })).kind, "use");
    assert.equal(decide(device({}, { local: undefined })).kind, "use");
    assert.equal(decide(device({}, { port: 4789 }), { ...SPEC, port: 0 }).kind, "use");
    assert.equal(decideLink(SPEC, device({}, { lowerIndex: 3 }), undefined).kind, "use");
  });

  it("keeps the learning flag of a device in use, as flannel does", () => {
    assert.equal(decide(device({}, { learning: true })).kind, "use");
  });

  it("changes MAC, MTU and up on the living device", () => {
    const other = mac("02:00:00:00:00:99");
    assert.deepEqual(decide(device({ mac: other, mtuBytes: 1400, up: false })), {
      kind: "change",
      set: { mac: SPEC.mac, mtuBytes: 1450, up: true },
      found: `MAC ${other}, MTU 1400, down`,
    });
  });

  it("asks of a tun device its kind, MTU and up alone", () => {
    const tun = { kind: "tun", name: "flannel0", mtuBytes: 1472 } as const;
    const actual = device({ name: "flannel0", kind: "tun", vxlan: undefined, mac: undefined });
    assert.deepEqual(decideLink(tun, actual, undefined), {
      kind: "change",
      set: { mtuBytes: 1472 },
      found: "MTU 1450",
    });
  });
});
