/** A path's evidence as the page draws it: what a kernel lacks is missing, who is silent is unknown. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Evidence, PathEnd, Side } from "../../../../common/explain/evidence.ts";
import { consolePath } from "../../../../controller/console/hops.ts";
import type { PathFacts } from "../../../../proto/gen/twill/v1/node.ts";

const DIAGNOSIS = { works: false, findings: [] };
const TRANSPORT = {
  ...{ backend: "vxlan", device: "flannel.1", port: 8472, overheadBytes: 50 },
  mayBeDirect: false,
};

function end(n: number): PathEnd {
  return {
    ...{ node: `node${n}`, address: `10.5.${n}.0`, isContainer: false, machine: `10.99.0.${n}` },
    ...{ subnet: `10.5.${n}.0/24`, vtepMac: `aa:00:00:00:00:0${n}` },
  };
}

/** node1's kernel towards node2, as it should be. */
function facts(more: Partial<PathFacts> = {}): PathFacts {
  const device = { kind: "vxlan", up: true, running: true, mtuBytes: 1450, mac: "", addresses: [] };
  const counts = { received: 0, sent: 0, receiveErrors: 0, sendErrors: 0 };
  const to = { gateway: "10.5.2.0", source: "", mtuBytes: 0, isLocal: false };
  return {
    remote: { device: "flannel.1", ...to },
    underlay: { ...to, device: "eth0", gateway: "" },
    local: { ...to, device: "lo", isLocal: true },
    routes: [
      {
        destination: "10.5.2.0/24",
        gateway: "10.5.2.0",
        device: "flannel.1",
        metric: 0,
        protocol: 84,
        type: "unicast",
      },
    ],
    devices: [{ name: "flannel.1", ...device, ...counts, vni: 1, port: 8472, local: "" }],
    neighbours: [
      { device: "flannel.1", ip: "10.5.2.0", mac: "aa:00:00:00:00:02", permanent: true },
    ],
    fdb: [{ device: "flannel.1", mac: "aa:00:00:00:00:02", remote: "10.99.0.2" }],
    ...{ settings: [], verdicts: [], counters: [], containers: [], wireguard: [] },
    ...more,
  };
}

function side(n: number, of: PathFacts | undefined, silence = ""): Side {
  return { end: end(n), facts: of, after: of, silence, probes: [] };
}

function hops(from: Side, to: Side): readonly (readonly [string, string, string])[] {
  const evidence: Evidence = { transport: TRANSPORT, from, to, sharedMacs: [] };
  const [forth] = consolePath(evidence, DIAGNOSIS).directions;
  return (forth?.hops ?? []).map(({ kind, state, text }) => [kind, state, text] as const);
}

describe("the drawn path", () => {
  it("has every step of a vxlan packet as the kernel has it", () => {
    assert.deepEqual(hops(side(1, facts()), side(2, facts())), [
      ["route", "there", "10.5.2.0/24 via 10.5.2.0 dev flannel.1"],
      ["neighbour", "there", "10.5.2.0 is aa:00:00:00:00:02"],
      ["fdb", "there", "aa:00:00:00:00:02 is at 10.99.0.2"],
      ["tunnel", "there", "flannel.1 up, mtu 1450"],
      ["underlay", "there", "dev eth0"],
      ["filter", "there", "nothing drops it"],
      ["arrives", "there", "its own address"],
    ]);
  });

  it("shows what the kernel lacks as missing", () => {
    const lacking = hops(side(1, facts({ fdb: [], remote: undefined })), side(2, facts()));
    assert.deepEqual(lacking[0], ["route", "missing", "not in the kernel"]);
    const noEntry = hops(side(1, facts({ fdb: [] })), side(2, facts()));
    assert.deepEqual(noEntry[2], ["fdb", "missing", "not in the kernel"]);
  });

  it("shows the rule that drops it", () => {
    const verdict = { hook: "forward", packet: "tunnel-in", verdict: "drop", rule: "FORWARD 3" };
    const dropped = hops(side(1, facts({ verdicts: [verdict] })), side(2, facts()));
    assert.deepEqual(dropped[5], ["filter", "missing", "dropped at forward: FORWARD 3"]);
  });

  it("says of a silent node why nothing is known of it", () => {
    const silent = side(2, undefined, "node node2 has no stream");
    assert.deepEqual(hops(side(1, facts()), silent).at(-1), [
      ...["arrives", "unknown", "node node2 has no stream"],
    ]);
    assert.deepEqual(hops(silent, side(1, facts())), []);
  });
});
