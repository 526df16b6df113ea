/**
 * WireGuard's messages, byte by byte as linux/wireguard.h has them. That the kernel and `wg show`
 * agree is shown on a real kernel (test/guest).
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { runsOf } from "../../../../../agent/kernel/netlink/change.ts";
import {
  decodeWireguardPage,
  encodeWireguardDevice,
  encodeWireguardDump,
  encodeWireguardPeer,
  joinPages,
  type WireguardPage,
} from "../../../../../agent/kernel/netlink/wireguard.ts";
import { formatWireguardPeer } from "../../../../../agent/plan/kernel-object.ts";
import type { WireguardPeerSpec } from "../../../../../agent/plan/kernel-state.ts";
import { Secret } from "../../../../../common/text/secret.ts";
import { nearlyBytes } from "../../../../support/fuzz.ts";
import { deletion, peerChanges } from "../../../../support/kernel-contract.ts";
import { ip, network, numberedKey } from "../../../../support/leases.ts";
import { attribute, firstMessage, message, written } from "../../../../support/netlink-bytes.ts";

const FAMILY = 27;
const NESTED = 0x8000;
const PSK = new Secret("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
const PEER: WireguardPeerSpec = {
  device: "flannel-wg",
  publicKey: numberedKey(2),
  presharedKey: PSK,
  endpoint: { ip: ip("10.99.0.2"), port: 51820 },
  keepaliveSeconds: 25,
  allowed: [network("10.244.2.0/24"), network("fd00:0:0:2::/64")],
};

/** A page of a device's dump, put together by hand from its attributes. */
function page(...peers: readonly Buffer[]): Buffer {
  const list = peers.map((peer, index) => attribute(index | NESTED, peer));
  const body = Buffer.concat([
    Buffer.from([0, 1, 0, 0]),
    attribute(2, Buffer.from("flannel-wg\0")),
    attribute(4, Buffer.from(numberedKey(1), "base64")),
    attribute(6, Buffer.from(Uint16Array.of(51820).buffer)),
    attribute(8 | NESTED, Buffer.concat(list)),
  ]);
  return message({ type: FAMILY, flags: 2, seq: 1, body });
}

function pageOf(datagram: Buffer, nowSeconds = 1_000): WireguardPage {
  const first = firstMessage(datagram);
  assert.ok(first);
  const decoded = decodeWireguardPage(first, nowSeconds);
  assert.ok(decoded);
  return decoded;
}

/** Our own put, read as if the kernel had listed it: the attributes have the same numbers. */
function echoed(spec: WireguardPeerSpec): WireguardPage {
  return pageOf(
    written((writer) => encodeWireguardPeer(writer, FAMILY, { op: "put", object: spec }, 1)),
  );
}

describe("a WireGuard peer that is put", () => {
  it("reads back as it was meant, for every peer", () => {
    const address = fc.oneof(
      fc.bigInt({ min: 1n, max: 2n ** 32n - 1n }).map((value) => ({ family: 4 as const, value })),
      fc.bigInt({ min: 1n, max: 2n ** 128n - 1n }).map((value) => ({ family: 6 as const, value })),
    );
    const port = fc.integer({ min: 1, max: 65_535 });
    const spec = fc.record({
      device: fc.constant("flannel-wg"),
      publicKey: fc.nat().map(numberedKey),
      presharedKey: fc.option(
        fc.nat().map((n) => new Secret(numberedKey(n))),
        { nil: undefined },
      ),
      endpoint: fc.record({ ip: address, port }),
      keepaliveSeconds: fc.integer({ min: 0, max: 65_535 }),
      allowed: fc.array(
        address.map((one) => ({ ip: one, prefix: 24 })),
        { maxLength: 4 },
      ),
    });
    fc.assert(
      fc.property(spec, (given) => {
        const [found] = joinPages([echoed(given)], "flannel-wg");
        assert.ok(found);
        assert.equal(formatWireguardPeer(found), formatWireguardPeer(given));
      }),
    );
  });

  it("says the whole set of subnets, and takes a preshared key away by zeros", () => {
    const bytes = written((writer) => {
      const object = { ...PEER, presharedKey: undefined };
      encodeWireguardPeer(writer, FAMILY, { op: "put", object }, 1);
    });
    // WGPEER_A_FLAGS = REPLACE_ALLOWEDIPS, WGPEER_A_PRESHARED_KEY of zeros.
    assert.ok(bytes.includes(attribute(3, Buffer.from([2, 0, 0, 0]))));
    assert.ok(bytes.includes(attribute(2, Buffer.alloc(32))));
  });

  it("is removed by its key alone", () => {
    const bytes = written((writer) =>
      encodeWireguardPeer(writer, FAMILY, { op: "delete", object: PEER }, 9),
    );
    const peer = Buffer.concat([
      attribute(1, Buffer.from(PEER.publicKey, "base64")),
      attribute(3, Buffer.from([1, 0, 0, 0])),
    ]);
    const peers = attribute(8 | NESTED, attribute(NESTED, peer));
    const name = attribute(2, Buffer.from("flannel-wg\0"));
    const body = Buffer.concat([Buffer.from([1, 1, 0, 0]), name, peers]);
    assert.deepEqual(bytes, message({ type: FAMILY, flags: 1, seq: 9, body }));
  });
});

describe("a WireGuard device", () => {
  it("is given its key and port, and keeps its peers", () => {
    const key = numberedKey(9);
    const set = { name: "flannel-wg", privateKey: new Secret(key), listenPort: 51820 };
    const bytes = written((writer) => encodeWireguardDevice(writer, FAMILY, set, 3));
    const body = Buffer.concat([
      Buffer.from([1, 1, 0, 0]),
      attribute(2, Buffer.from("flannel-wg\0")),
      attribute(3, Buffer.from(key, "base64")),
      attribute(6, Buffer.from(Uint16Array.of(51820).buffer)),
    ]);
    assert.deepEqual(bytes, message({ type: FAMILY, flags: 1, seq: 3, body }));
  });

  it("is listed by its name", () => {
    const bytes = written((writer) => encodeWireguardDump(writer, FAMILY, "flannel-wg", 4));
    const body = Buffer.concat([
      Buffer.from([0, 1, 0, 0]),
      attribute(2, Buffer.from("flannel-wg\0")),
    ]);
    assert.deepEqual(bytes, message({ type: FAMILY, flags: 0x301, seq: 4, body }));
  });
});

describe("a list of WireGuard peers", () => {
  const key = (n: number): Buffer => attribute(1, Buffer.from(numberedKey(n), "base64"));
  const subnet = (text: string): Buffer => {
    const { ip: address, prefix } = network(text);
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(Number(address.value));
    return attribute(
      NESTED,
      Buffer.concat([
        attribute(1, Buffer.from([2, 0])),
        attribute(2, bytes),
        attribute(3, Buffer.from([prefix])),
      ]),
    );
  };
  const subnets = (...texts: readonly string[]): Buffer =>
    attribute(9 | NESTED, Buffer.concat(texts.map(subnet)));

  it("is put together from its pages, also a peer that goes on over the next page", () => {
    const first = pageOf(page(Buffer.concat([key(2), subnets("10.1.0.0/24")])));
    const second = pageOf(
      page(
        Buffer.concat([key(2), subnets("10.2.0.0/24")]),
        Buffer.concat([key(3), subnets("10.3.0.0/24")]),
      ),
    );
    const peers = joinPages([first, second], "flannel-wg");
    assert.deepEqual(
      peers.map((one) => formatWireguardPeer(one).replace(/^\S+ /, "")),
      [
        "dev flannel-wg endpoint none allowed 10.1.0.0/24,10.2.0.0/24",
        "dev flannel-wg endpoint none allowed 10.3.0.0/24",
      ],
    );
    assert.deepEqual(first.info, { publicKey: numberedKey(1), listenPort: 51820 });
  });

  it("knows who proved himself in the last three minutes", () => {
    const stamped = (seconds: number): Buffer =>
      Buffer.concat([
        key(2),
        attribute(6, Buffer.from(BigInt64Array.of(BigInt(seconds), 0n).buffer)),
      ]);
    const hasSession = (seconds: number): boolean | undefined =>
      pageOf(page(stamped(seconds)), 1_000).peers[0]?.hasSession;
    assert.deepEqual([hasSession(821), hasSession(820), hasSession(0)], [true, false, false]);
  });

  it("survives whatever comes", () => {
    const good = [page(key(2)), page(Buffer.concat([key(2), key(3)]), key(4))];
    fc.assert(
      fc.property(nearlyBytes(good), (datagram) => {
        const first = firstMessage(datagram);
        if (first !== undefined) decodeWireguardPage(first, 0);
      }),
      { numRuns: 2000 },
    );
  });
});

it("changes go to the family they belong to, in their order", () => {
  const peer = { op: "put", kind: "wireguard", object: PEER } as const;
  const [neighbour, , fdb] = peerChanges(7);
  assert.ok(neighbour && fdb);
  const runs = runsOf([neighbour, peer, deletion(peer), fdb, neighbour]);
  assert.deepEqual(runs, [
    { wireguard: [], others: [neighbour] },
    { wireguard: [peer, deletion(peer)], others: [fdb, neighbour] },
  ]);
  assert.deepEqual(runsOf([]), []);
});
