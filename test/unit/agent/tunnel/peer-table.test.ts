/** The shared peer table, against a search through the list. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  encodePeers,
  NO_ROUTE,
  PeerTable,
  type TunnelPeer,
} from "../../../../agent/tunnel/peer-table.ts";
import { cidr, containsIp } from "../../../../common/net/cidr.ts";
import { ip4, parseIp } from "../../../../common/net/ip.ts";

const peer = (subnet: number, prefix: number, remote: number): TunnelPeer => ({
  subnet: cidr(ip4(BigInt(subnet)), prefix),
  remote: ip4(BigInt(remote)),
  port: 8285,
});

const tableOf = (peers: readonly TunnelPeer[]): PeerTable => new PeerTable(encodePeers(peers));

function remoteFor(table: PeerTable, address: number): number | undefined {
  const route = table.find(address);
  return route === NO_ROUTE ? undefined : table.remoteAt(route);
}

/** The longest subnet in the list that holds the address; of equals the first. */
function searched(peers: readonly TunnelPeer[], address: number): number | undefined {
  const holding = peers.filter(({ subnet }) => containsIp(subnet, ip4(BigInt(address))));
  const longest = Math.max(...holding.map(({ subnet }) => subnet.prefix));
  const found = holding.find(({ subnet }) => subnet.prefix === longest);
  return found === undefined ? undefined : Number(found.remote.value);
}

describe("the peer table", () => {
  it("answers as a search through the list does", () => {
    const address = fc.integer({ min: 0x0a000000, max: 0x0a0000ff });
    const peers = fc.array(
      fc.tuple(address, fc.integer({ min: 22, max: 32 }), fc.integer({ min: 1, max: 99 })),
      { maxLength: 40 },
    );
    fc.assert(
      fc.property(peers, fc.array(address, { minLength: 5 }), (given, addresses) => {
        const list = given.map(([subnet, prefix, remote]) => peer(subnet, prefix, remote));
        const table = tableOf(list);
        for (const one of addresses) assert.equal(remoteFor(table, one), searched(list, one));
      }),
    );
  });

  it("finds each of 10,000 subnets, and nothing beside them", () => {
    const peers = Array.from({ length: 10_000 }, (_, index) =>
      peer(0x0a000000 + index * 256, 24, 0xc0a80000 + index),
    );
    const table = tableOf(peers);
    for (const [index, { subnet }] of peers.entries()) {
      assert.equal(remoteFor(table, Number(subnet.ip.value) + 7), 0xc0a80000 + index);
    }
    assert.equal(remoteFor(table, 0x0a000000 + 10_000 * 256), undefined);
    assert.equal(remoteFor(table, 0x09ffffff), undefined);
  });

  it("takes a default route and the highest addresses", () => {
    const table = tableOf([peer(0, 0, 1), peer(0xfffffff0, 28, 2), peer(0xffffffff, 32, 3)]);
    assert.equal(remoteFor(table, 0x01020304), 1);
    assert.equal(remoteFor(table, 0xfffffff1), 2);
    assert.equal(remoteFor(table, 0xffffffff), 3);
  });

  it("knows peers by their address, and nobody else", () => {
    const table = tableOf([peer(0x0a010000, 24, 5), peer(0x0a010100, 24, 0xfffffffe)]);
    assert.deepEqual(
      [5, 0xfffffffe, 6, 0].map((source) => table.isPeer(source)),
      [true, true, false, false],
    );
  });

  it("is empty without peers", () => {
    const table = tableOf([]);
    assert.equal(remoteFor(table, 0x0a010001), undefined);
    assert.equal(table.isPeer(0), false);
  });

  it("refuses IPv6", () => {
    const remote = parseIp("fd00::1") ?? ip4(0n);
    const bad = { ...peer(0x0a010000, 24, 5), remote };
    assert.throws(() => encodePeers([bad]), /IPv4 over IPv4 only/);
  });
});
