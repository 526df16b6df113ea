/** Which leases are peers, which are nobody's business, and which are refused and why. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type PeerContext, readPeer } from "../../../../agent/peers/peer.ts";
import { dualLease, ip, lease, network, vxlanLease } from "../../../support/leases.ts";

const OWN = dualLease(7);
const CONTEXT: PeerContext = {
  ownKey: OWN.key,
  ownSubnets: OWN.subnets,
  ownPublicIp: ip("10.99.0.7"),
  ownPublicIpv6: ip("fd99::7"),
  networks: { v4: network("10.244.0.0/16"), v6: network("fd00::/48") },
  backendType: "vxlan",
};

describe("readPeer", () => {
  it("reads each family of a lease", () => {
    const two = dualLease(2);
    assert.deepEqual(readPeer(two, 4, CONTEXT), {
      kind: "peer",
      peer: {
        key: two.key,
        node: "node-2",
        family: 4,
        subnet: network("10.244.2.0/24"),
        publicIp: ip("10.99.0.2"),
        backendData: '{"VNI":1,"VtepMAC":"02:00:00:00:00:02"}',
      },
    });
    const v6 = readPeer(two, 6, CONTEXT);
    assert.equal(v6.kind, "peer");
    assert.deepEqual(v6.peer.publicIp, ip("fd99::2"));
    assert.equal(v6.peer.backendData, '{"VNI":1,"VtepMAC":"02:00:00:00:10:02"}');
  });

  it("ignores quietly our own lease, other backends and absent families", () => {
    const v4Only: PeerContext = {
      ...CONTEXT,
      networks: { v4: CONTEXT.networks.v4, v6: undefined },
    };
    assert.equal(readPeer(OWN, 4, CONTEXT).kind, "ignored");
    assert.equal(readPeer(vxlanLease(2, { type: "host-gw" }), 4, CONTEXT).kind, "ignored");
    assert.equal(readPeer(vxlanLease(2, { type: "" }), 4, CONTEXT).kind, "ignored");
    assert.equal(readPeer(vxlanLease(2), 6, CONTEXT).kind, "ignored");
    assert.equal(readPeer(dualLease(2), 6, v4Only).kind, "ignored");
  });

  const refused: [string, ReturnType<typeof lease>, RegExp][] = [
    [
      "outside the network",
      lease({ key: "10.9.1.0-24", ip: "10.99.0.2" }),
      /10\.9\.1\.0\/24 is outside the network 10\.244\.0\.0\/16/,
    ],
    [
      "larger than the network",
      lease({ key: "10.0.0.0-8", ip: "10.99.0.2" }),
      /outside the network/,
    ],
    [
      "equal to our own",
      lease({ key: "10.244.7.0-24", ip: "10.99.0.2" }),
      /overlaps this node's own 10\.244\.7\.0\/24/,
    ],
    [
      "around our own",
      lease({ key: "10.244.0.0-20", ip: "10.99.0.2" }),
      /overlaps this node's own/,
    ],
    [
      "inside our own",
      lease({ key: "10.244.7.128-25", ip: "10.99.0.2" }),
      /overlaps this node's own/,
    ],
    ["without an address", lease({ key: "10.244.2.0-24" }), /has no PublicIP/],
    [
      "with our address",
      vxlanLease(2, { ip: "10.99.0.7" }),
      /PublicIP 10\.99\.0\.7 is this node's own/,
    ],
  ];
  for (const [name, bad, reason] of refused) {
    it(`refuses a subnet ${name}`, () => {
      const read = readPeer(bad, 4, CONTEXT);
      assert.equal(read.kind, "invalid");
      assert.match(read.reason, reason);
    });
  }

  it("names PublicIPv6 where that is what is missing", () => {
    const read = readPeer(
      lease({ key: "10.244.2.0-24&fd00:0:0:2::-64", ip: "10.99.0.2" }),
      6,
      CONTEXT,
    );
    assert.deepEqual(read, { kind: "invalid", reason: "it has no PublicIPv6" });
  });
});
