/** Who is told that a network is unreachable, and in which bytes. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  deservesUnreachable,
  NET_UNREACHABLE_MAX_BYTES,
  writeNetUnreachable,
} from "../../../../../agent/tunnel/packet/net-unreachable.ts";
import {
  hasRightChecksums,
  icmpPacket,
  ipPacket,
  type TcpFields,
  tcpPacket,
  udpPacket,
} from "../../../../support/packets.ts";

const OWN = 0x0a010100;

const deserves = (packet: Uint8Array): boolean => {
  const view = new DataView(Uint8Array.from(packet).buffer);
  return deservesUnreachable(view, 0, packet.length);
};

function answer(packet: Uint8Array): Buffer {
  const memory = new Uint8Array(packet.length + NET_UNREACHABLE_MAX_BYTES);
  memory.set(packet);
  const offender = { ip: 0, length: packet.length };
  const length = writeNetUnreachable(new DataView(memory.buffer), offender, packet.length, OWN);
  return Buffer.from(memory.subarray(packet.length, packet.length + length));
}

describe("the answer to a packet for nobody", () => {
  it("quotes the IP header and eight bytes, and goes to the sender from our own address", () => {
    const packet = udpPacket({ payload: new Uint8Array(500) });
    const reply = answer(packet);
    assert.equal(reply.length, 56);
    assert.deepEqual([reply[20], reply[21]], [3, 0], "destination unreachable, network");
    assert.equal(reply.readUInt32BE(12), OWN);
    assert.equal(reply.readUInt32BE(16), Buffer.from(packet).readUInt32BE(12));
    assert.deepEqual(reply.subarray(28), Buffer.from(packet).subarray(0, 28));
    assert.ok(hasRightChecksums(reply));
  });

  it("quotes no more than there is, and IP options too", () => {
    const tiny = ipPacket(17, new Uint8Array(3));
    assert.equal(answer(tiny).length, 28 + 23);
    const withOptions = Buffer.concat([tiny.subarray(0, 20), Buffer.alloc(40), Buffer.alloc(20)]);
    withOptions.writeUInt8(0x4f, 0);
    withOptions.writeUInt16BE(withOptions.length, 2);
    const reply = answer(withOptions);
    assert.equal(reply.length, NET_UNREACHABLE_MAX_BYTES);
    assert.ok(hasRightChecksums(reply));
  });

  it("is given to TCP, UDP and pings", () => {
    assert.equal(deserves(tcpPacket({})), true);
    assert.equal(deserves(udpPacket({})), true);
    assert.equal(deserves(icmpPacket(8)), true);
  });

  it("is not given to ICMP errors, which could answer each other for ever", () => {
    assert.deepEqual(
      [3, 4, 5, 11, 12].filter((type) => deserves(icmpPacket(type))),
      [],
    );
  });

  it("is not given to fragments but the first", () => {
    const fragment = (bits: number): Buffer => {
      const packet = ipPacket(17, new Uint8Array(16));
      packet.writeUInt16BE(bits, 6);
      return packet;
    };
    assert.equal(deserves(fragment(0x2000)), true);
    assert.equal(deserves(fragment(0x2010)), false);
    assert.equal(deserves(fragment(0x0010)), false);
  });

  it("is not given where it would go to no single machine, or about a group", () => {
    const from = (source: number): Partial<TcpFields> => ({ source });
    assert.equal(deserves(udpPacket(from(0))), false, "0.0.0.0");
    assert.equal(deserves(udpPacket(from(0x7f000001))), false, "127.0.0.1");
    assert.equal(deserves(udpPacket(from(0xe0000001))), false, "224.0.0.1");
    assert.equal(deserves(udpPacket(from(0xffffffff))), false, "255.255.255.255");
    assert.equal(deserves(udpPacket({ destination: 0xe00000fb })), false, "to 224.0.0.251");
    assert.equal(deserves(udpPacket({ destination: 0xffffffff })), false, "to broadcast");
  });
});
