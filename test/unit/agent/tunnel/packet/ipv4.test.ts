/** What the tunnel reads of, and does to, an IPv4 header. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  decrementTtl,
  ipv4Length,
  isFragment,
  isIpv4ChecksumRight,
  isLaterFragment,
} from "../../../../../agent/tunnel/packet/ipv4.ts";
import { ipPacket, withChecksums } from "../../../../support/packets.ts";

const viewOf = (bytes: Uint8Array): DataView => new DataView(Uint8Array.from(bytes).buffer);

describe("an IPv4 header", () => {
  it("loses one hop and keeps a right checksum", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 255 }),
        fc.nat(0xffff),
        fc.nat(0xffffffff),
        (ttl, id, source) => {
          const packet = withChecksums(ipPacket(132, new Uint8Array(4), { ttl, id, source }));
          const view = viewOf(packet);
          assert.equal(decrementTtl(view, 0), true);
          const expected = withChecksums(
            ipPacket(132, new Uint8Array(4), { ttl: ttl - 1, id, source }),
          );
          assert.deepEqual(Buffer.from(view.buffer).subarray(0, 20), expected.subarray(0, 20));
        },
      ),
    );
  });

  it("has no hop left at one and at zero, and is not touched then", () => {
    for (const ttl of [0, 1]) {
      const packet = withChecksums(ipPacket(132, new Uint8Array(4), { ttl }));
      const view = viewOf(packet);
      assert.equal(decrementTtl(view, 0), false);
      assert.deepEqual(Buffer.from(view.buffer), Buffer.from(packet));
    }
  });

  it("keeps a wrong checksum wrong", () => {
    const packet = Buffer.from(withChecksums(ipPacket(132, new Uint8Array(4))));
    packet.writeUInt16BE(packet.readUInt16BE(10) ^ 0x0101, 10);
    const view = viewOf(packet);
    decrementTtl(view, 0);
    assert.equal(isIpv4ChecksumRight(view, 0), false);
  });

  it("tells the packet's length by itself, not by what came with it", () => {
    const packet = ipPacket(17, new Uint8Array(30));
    const padded = Buffer.concat([packet, Buffer.alloc(16)]);
    assert.equal(ipv4Length(viewOf(padded), 0, padded.length), 50);
  });

  it("is refused when cut off, of another version, or contradicting itself", () => {
    const packet = ipPacket(17, new Uint8Array(30));
    const changed = (at: number, value: number): Buffer => {
      const copy = Buffer.from(packet);
      copy.writeUInt8(value, at);
      return copy;
    };
    assert.equal(ipv4Length(viewOf(packet), 0, 49), 0, "shorter than it says");
    assert.equal(ipv4Length(viewOf(packet), 0, 19), 0, "shorter than a header");
    assert.equal(ipv4Length(viewOf(changed(0, 0x65)), 0, 50), 0, "IPv6");
    assert.equal(ipv4Length(viewOf(changed(0, 0x44)), 0, 50), 0, "a header of 16 bytes");
    assert.equal(ipv4Length(viewOf(changed(3, 19)), 0, 50), 0, "shorter than its header");
  });

  it("knows first, middle and last fragments", () => {
    const fragment = (bits: number): DataView => {
      const packet = ipPacket(17, new Uint8Array(8));
      packet.writeUInt16BE(bits, 6);
      return viewOf(packet);
    };
    const seen = [0x4000, 0x2000, 0x2001, 0x0001].map((bits) => [
      isFragment(fragment(bits), 0),
      isLaterFragment(fragment(bits), 0),
    ]);
    assert.deepEqual(seen, [
      [false, false],
      [true, false],
      [true, true],
      [true, true],
    ]);
  });
});
