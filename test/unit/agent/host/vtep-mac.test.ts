/** A VTEP keeps its MAC over restarts, crashes and the change from flannel. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { decideMac, parseMacFile, renderMacFile } from "../../../../agent/host/vtep-mac.ts";
import type { LinkState } from "../../../../agent/kernel/kernel.ts";
import { type Mac, parseMac } from "../../../../common/net/mac.ts";

function mac(text: string): Mac {
  const parsed = parseMac(text);
  assert.ok(parsed);
  return parsed;
}

function vxlan(name: string, vni: number, address: string, kind = "vxlan"): LinkState {
  const link = { index: 9, name, kind, up: true, running: true, mtuBytes: 1450, lowerIndex: 2 };
  const info = { vni, lowerIndex: 2, local: undefined, group: undefined, port: 8472 };
  const flags = { learning: false, gbp: false, l2miss: false, l3miss: false };
  return {
    ...link,
    mac: mac(address),
    vxlan: kind === "vxlan" ? { ...info, ...flags } : undefined,
  };
}

const DEVICE = { name: "flannel.1", vni: 1 };
const RANDOM = Uint8Array.of(0xff, 1, 2, 3, 4, 5);
const OLD = "7e:3f:9b:d9:8f:b6";

describe("the MAC of a VTEP", () => {
  it("is the persisted one, whatever the device has now", () => {
    const decision = decideMac(
      DEVICE,
      mac(OLD),
      [vxlan("flannel.1", 1, "02:00:00:00:00:01")],
      RANDOM,
    );
    assert.deepEqual(decision, { mac: OLD, source: "persisted" });
  });

  it("is adopted from a device that fits, as flannel left it", () => {
    const decision = decideMac(DEVICE, undefined, [vxlan("flannel.1", 1, OLD)], RANDOM);
    assert.deepEqual(decision, { mac: OLD, source: "adopted" });
  });

  it("is not adopted from another VNI, another kind, another name or a group address", () => {
    const strangers = [
      vxlan("flannel.1", 2, OLD),
      vxlan("flannel.1", 1, OLD, "bridge"),
      vxlan("flannel.2", 1, OLD),
      vxlan("flannel.1", 1, "01:00:5e:00:00:01"),
    ];
    for (const stranger of strangers) {
      assert.equal(decideMac(DEVICE, undefined, [stranger], RANDOM).source, "made");
    }
  });

  it("is made local and unicast from random bytes otherwise", () => {
    const decision = decideMac(DEVICE, undefined, [], RANDOM);
    assert.deepEqual(decision, { mac: "fe:01:02:03:04:05", source: "made" });
  });
});

describe("the file of MACs", () => {
  it("gives back what was written", () => {
    const macs = new Map([
      ["flannel.1", mac(OLD)],
      ["flannel-v6.1", mac("02:00:00:00:00:01")],
    ]);
    const text = renderMacFile(macs);
    assert.equal(text, `flannel.1 ${OLD}\nflannel-v6.1 02:00:00:00:00:01\n`);
    assert.deepEqual(parseMacFile(text), { kind: "macs", macs });
  });

  it("is refused as a whole when a line is not a device and a unicast MAC", () => {
    for (const text of [
      "flannel.1",
      "flannel.1 7e:3f",
      `flannel.1 ${OLD} x`,
      "a 00:00:00:00:00:00",
    ]) {
      assert.equal(parseMacFile(text).kind, "corrupt", text);
    }
  });
});
