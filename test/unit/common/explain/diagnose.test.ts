/** The judgement on its own: causes before consequences, and what is said when nothing is wrong. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { diagnose } from "../../../../common/explain/diagnose.ts";
import type { Evidence, PathEnd, Side, Transport } from "../../../../common/explain/evidence.ts";
import type { PathFacts, ProbeResult } from "../../../../proto/gen/twill/v1/node.ts";

const VXLAN: Transport = {
  ...{ backend: "vxlan", device: "flannel.1", port: 8472 },
  ...{ overheadBytes: 50, mayBeDirect: false },
};

const end = (n: number): PathEnd => ({
  node: `node${n}`,
  address: `10.244.${n}.0`,
  isContainer: false,
  machine: `10.0.0.${n}`,
  subnet: `10.244.${n}.0/24`,
  vtepMac: `02:00:00:00:00:0${n}`,
});

const device = (name: string, mtuBytes: number, address: string, mac: string) => ({
  ...{ name, kind: "", up: true, running: true, mtuBytes, mac, addresses: [address] },
  ...{ vni: 1, port: 8472, local: "", received: 0, sent: 0, receiveErrors: 0, sendErrors: 0 },
});

/** What node `a` says of the way to node `b` when all is well. */
function facts(a: number, b: number): PathFacts {
  const far = end(b);
  const hop = (name: string, gateway: string) =>
    ({ device: name, gateway, source: "", mtuBytes: 0, isLocal: false }) as const;
  const route = { metric: 0, protocol: 3, type: "unicast", device: "flannel.1" };
  return {
    remote: hop("flannel.1", `10.244.${b}.0`),
    local: { ...hop("lo", ""), isLocal: true },
    underlay: hop("eth0", ""),
    routes: [{ destination: far.subnet, gateway: `10.244.${b}.0`, ...route }],
    devices: [
      device("flannel.1", 1450, `10.244.${a}.0/32`, end(a).vtepMac),
      device("eth0", 1500, `10.0.0.${a}/24`, `0a:00:00:00:00:0${a}`),
    ],
    neighbours: [
      { device: "flannel.1", ip: `10.244.${b}.0`, mac: far.vtepMac, permanent: true },
      { device: "eth0", ip: far.machine, mac: `0a:00:00:00:00:0${b}`, permanent: false },
    ],
    fdb: [{ device: "flannel.1", mac: far.vtepMac, remote: far.machine }],
    ...{ settings: [], verdicts: [], counters: [], containers: [], wireguard: [] },
  };
}

const probe = (label: string, received: number): ProbeResult => ({
  ...{ label, sent: 3, received, rttUs: received * 10, error: "" },
});

const side = (a: number, b: number, more: Partial<Side> = {}): Side => ({
  end: end(a),
  facts: facts(a, b),
  after: facts(a, b),
  silence: "",
  probes: [probe("underlay", 3), probe("overlay", 3)],
  ...more,
});

const evidence = (from: Partial<Side> = {}, to: Partial<Side> = {}): Evidence => ({
  transport: VXLAN,
  sharedMacs: [],
  from: side(1, 2, from),
  to: side(2, 1, to),
});

const codes = (seen: Evidence): readonly string[] =>
  diagnose(seen).findings.map(({ code }) => code);

describe("the diagnosis of a path", () => {
  it("finds nothing where nothing is wrong", () => {
    assert.deepEqual(diagnose(evidence()), { works: true, findings: [] });
  });

  it("judges the way back as well", () => {
    const { fdb, ...rest } = facts(2, 1);
    const [first] = diagnose(evidence({}, { facts: { ...rest, fdb: [] } })).findings;
    assert.equal(fdb.length, 1);
    assert.deepEqual([first?.code, first?.node], ["FDB_MISSING", "node2"]);
  });

  it("names what lies lowest first", () => {
    const down = facts(1, 2);
    const devices = down.devices.map((one) => ({ ...one, running: one.name !== "eth0" }));
    assert.deepEqual(codes(evidence({ facts: { ...down, devices, fdb: [] } })), [
      "NIC_DOWN",
      "FDB_MISSING",
    ]);
  });

  it("blames what is between when both kernels are right and nothing arrives", () => {
    const probes = [probe("underlay", 3), probe("overlay", 0)];
    const sent = facts(1, 2);
    const after = {
      ...sent,
      devices: sent.devices.map((one) => ({ ...one, sent: 3 })),
    };
    const [first] = diagnose(evidence({ probes, after })).findings;
    assert.equal(first?.code, "TUNNEL_DROPPED");
    assert.match(first.says, /UDP port 8472 from node1 to node2 is dropped between/);
  });

  it("tells a checksum from a drop by the receiver's counter, and a size from both", () => {
    const counters = [{ name: "Udp.InCsumErrors", value: 3 }];
    const probes = [probe("underlay", 3), probe("overlay", 0)];
    const after = { ...facts(2, 1), counters };
    assert.deepEqual(codes(evidence({ probes }, { after })), ["CHECKSUM"]);
    const full = [probe("underlay", 3), probe("overlay", 3), probe("overlay-full", 0)];
    assert.deepEqual(codes(evidence({ probes: full })), ["MTU_BLACK_HOLE"]);
  });

  it("says which node could not be asked, and admits what it does not know", () => {
    const silent = { facts: undefined, after: undefined, probes: [], silence: "no stream" };
    const lost = [probe("underlay", 3), probe("overlay", 0)];
    assert.deepEqual(codes(evidence({ probes: lost }, silent)), ["NODE_SILENT", "UNKNOWN"]);
  });
});
