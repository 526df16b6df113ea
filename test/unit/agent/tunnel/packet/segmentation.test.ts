/** Cutting super-segments, against cutting by copying and computing everything anew. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  completeChecksum,
  readSuperSegment,
  segmentPayloadLength,
  writeSegmentHeader,
} from "../../../../../agent/tunnel/packet/segmentation.ts";
import {
  hasRightChecksums,
  naiveSegments,
  tcpPacket,
  udpPacket,
  udpPacketSummingToZero,
} from "../../../../support/packets.ts";

const bytes = (length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, index) => (index * 131 + 7) & 255);

/** Cuts with the code under test: written headers, payload from where it lies. */
function cut(packet: Uint8Array, segmentSize: number): Uint8Array[] {
  const memory = new Uint8Array(packet.length + 256);
  memory.set(packet);
  const view = new DataView(memory.buffer);
  const whole = readSuperSegment(view, 0, packet.length, segmentSize);
  if (whole === undefined) return [];
  const out = (packet.length + 3) & ~3;
  return Array.from({ length: whole.count }, (_, index) => {
    writeSegmentHeader(view, whole, index, out);
    const at = whole.headerLength + index * segmentSize;
    const payload = memory.subarray(at, at + segmentPayloadLength(whole, index));
    return Buffer.concat([memory.subarray(out, out + whole.headerLength), payload]);
  });
}

describe("a super-segment", () => {
  it("of TCP is cut into exactly the packets the kernel would have made", () => {
    fc.assert(
      fc.property(
        fc.record({
          length: fc.integer({ min: 1, max: 5000 }),
          segmentSize: fc.integer({ min: 1, max: 1500 }),
          flags: fc.constantFrom(0x10, 0x18, 0x19, 0x90, 0x99),
          optionWords: fc.nat(10),
          sequence: fc.nat(0xffffffff),
          id: fc.nat(0xffff),
        }),
        ({ length, segmentSize, flags, optionWords, sequence, id }) => {
          const options = bytes(optionWords * 4);
          const packet = tcpPacket({ payload: bytes(length), flags, options, sequence, id });
          assert.deepEqual(
            cut(packet, segmentSize).map((segment) => Buffer.from(segment)),
            naiveSegments(packet, segmentSize).map((segment) => Buffer.from(segment)),
          );
        },
      ),
    );
  });

  it("of UDP likewise", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5000 }),
        fc.integer({ min: 1, max: 1500 }),
        (length, segmentSize) => {
          const packet = udpPacket({ payload: bytes(length) });
          assert.deepEqual(
            cut(packet, segmentSize).map((segment) => Buffer.from(segment)),
            naiveSegments(packet, segmentSize).map((segment) => Buffer.from(segment)),
          );
        },
      ),
    );
  });

  it("of the full 64 KiB comes apart into 45 packets with right checksums", () => {
    const segments = cut(tcpPacket({ payload: bytes(45 * 1420), flags: 0x18 }), 1420);
    assert.equal(segments.length, 45);
    assert.ok(segments.every(hasRightChecksums));
  });

  it("keeps CWR on the first packet only, PSH and FIN on the last", () => {
    const segments = cut(tcpPacket({ payload: bytes(3000), flags: 0x99 }), 1000);
    assert.deepEqual(
      segments.map((segment) => segment[33]),
      [0x90, 0x10, 0x19],
    );
  });

  it("is none when it is neither TCP nor UDP, has no payload, or says no size", () => {
    const packet = tcpPacket({ payload: bytes(3000) });
    assert.deepEqual(cut(packet, 0), []);
    assert.deepEqual(cut(tcpPacket({}), 1000), []);
    const sctp = Buffer.from(packet);
    sctp.writeUInt8(132, 9);
    assert.deepEqual(cut(sctp, 1000), []);
    const cutShort = Buffer.from(packet);
    cutShort.writeUInt8(0x40, 32);
    assert.deepEqual(cut(cutShort, 1000), [], "a TCP header of 16 bytes");
  });
});

describe("a checksum the kernel left open", () => {
  it("is completed from the pseudo header's sum", () => {
    for (const whole of [tcpPacket({ payload: bytes(77) }), udpPacket({ payload: bytes(78) })]) {
      const field = whole[9] === 6 ? 16 : 6;
      const open = Buffer.from(whole);
      open.writeUInt16BE(pseudoSum(whole), 20 + field);
      const view = new DataView(Uint8Array.from(open).buffer);
      assert.equal(completeChecksum(view, { ip: 0, length: whole.length }, 20, field), true);
      assert.deepEqual(Buffer.from(view.buffer), Buffer.from(whole));
    }
  });

  it("of UDP that comes out as zero is sent as ones", () => {
    const packet = Buffer.from(udpPacketSummingToZero());
    packet.writeUInt16BE(pseudoSum(packet), 26);
    const view = new DataView(Uint8Array.from(packet).buffer);
    completeChecksum(view, { ip: 0, length: packet.length }, 20, 6);
    assert.equal(view.getUint16(26), 0xffff);
  });

  it("outside of the packet is refused", () => {
    const view = new DataView(Uint8Array.from(tcpPacket({})).buffer);
    const packet = { ip: 0, length: view.byteLength };
    assert.equal(completeChecksum(view, packet, view.byteLength - 10, 16), false);
  });
});

/** Sum of addresses, protocol and length, carried but not complemented. */
function pseudoSum(packet: Uint8Array): number {
  const words = Buffer.from(packet);
  let sum = (packet[9] ?? 0) + packet.length - 20;
  for (let at = 12; at < 20; at += 2) sum += words.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
}
