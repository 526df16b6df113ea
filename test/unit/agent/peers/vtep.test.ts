/** flannel's VXLAN backend data: what Go's decoder takes, and what no tunnel can use. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Peer } from "../../../../agent/peers/peer.ts";
import { readVtep } from "../../../../agent/peers/vtep.ts";
import { ip, mac, network } from "../../../support/leases.ts";

const OWN = { vni: 1, mac: mac("7e:00:00:00:00:01") };

function peer(backendData: string): Peer {
  const [subnet, publicIp] = [network("10.244.2.0/24"), ip("10.99.0.2")];
  return { key: "10.244.2.0-24", node: "b", family: 4, subnet, publicIp, backendData };
}

describe("readVtep", () => {
  it("takes the spellings that flannel takes", () => {
    for (const data of [
      '{"VNI":1,"VtepMAC":"7e:3f:9b:d9:8f:b6"}',
      '{"vni":1,"vtepmac":"7E-3F-9B-D9-8F-B6","More":[]}',
      '{"VtepMAC":"7e3f.9bd9.8fb6"}',
    ]) {
      assert.deepEqual(readVtep(peer(data), OWN), { kind: "vtep", mac: "7e:3f:9b:d9:8f:b6" }, data);
    }
  });

  const refused: [string, RegExp][] = [
    ["", /has no BackendData/],
    ["null", /not a JSON object/],
    ["[1]", /not a JSON object/],
    ['"text"', /not a JSON object/],
    ["{", /not a JSON object/],
    ['{"VNI":1}', /VtepMAC is missing/],
    ['{"VNI":2,"VtepMAC":"7e:3f:9b:d9:8f:b6"}', /VNI is 2, this network's is 1/],
    ['{"VtepMAC":7}', /VtepMAC 7 is not a MAC/],
    ['{"VtepMAC":"7e:3f:9b:d9:8f"}', /not a MAC of six bytes/],
    ['{"VtepMAC":"00:00:00:00:00:00"}', /no unicast address/],
    ['{"VtepMAC":"01:00:5e:00:00:01"}', /no unicast address/],
    ['{"VtepMAC":"ff:ff:ff:ff:ff:ff"}', /no unicast address/],
    ['{"VtepMAC":"7e:00:00:00:00:01"}', /is this node's own/],
  ];
  for (const [data, reason] of refused) {
    it(`refuses ${data === "" ? "nothing" : data}`, () => {
      const read = readVtep(peer(data), OWN);
      assert.equal(read.kind, "invalid");
      assert.match(read.reason, reason);
    });
  }

  it("names BackendV6Data for the other family", () => {
    const read = readVtep({ ...peer(""), family: 6 }, OWN);
    assert.deepEqual(read, { kind: "invalid", reason: "it has no BackendV6Data" });
  });
});
