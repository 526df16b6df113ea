/**
 * Joining packets: whatever is joined, cutting it again gives back the packets that came. That
 * law, by property, is the guarantee that receivers notice nothing.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Run } from "../../../../../agent/tunnel/packet/coalescing.ts";
import { readVirtioHeader } from "../../../../../agent/tunnel/packet/virtio-header.ts";
import {
  ipPacket,
  naiveSegments,
  type TcpFields,
  tcpPacket,
  udpPacket,
  udpPacketSummingToZero,
  withChecksums,
} from "../../../../support/packets.ts";

const payload = (length: number, seed = 1): Uint8Array =>
  Uint8Array.from({ length }, (_, index) => (index * 31 + seed) & 255);

/** What the TUN would be given: packets and super-segments with the size to cut them. */
interface Delivered {
  readonly packet: Uint8Array;
  readonly segmentSize: number;
}

/** Feeds packets to a Run as the loop does, and gathers what it would write. */
function join(packets: readonly Uint8Array[], joins = { tcp: true, udp: true }): Delivered[] {
  const starts: number[] = [];
  let end = 16;
  for (const packet of packets) {
    starts.push(end);
    end += (packet.length + 3) & ~3;
  }
  const memory = new Uint8Array(end);
  for (const [index, packet] of packets.entries()) memory.set(packet, starts[index]);
  const view = new DataView(memory.buffer);
  const run = new Run(view, joins);
  const delivered: Delivered[] = [];
  let pieces: Uint8Array[] = [];
  const flush = (): void => {
    if (run.count === 0) return;
    run.finish(0);
    const { kind, segmentSize } = readVirtioHeader(view, 0);
    delivered.push({
      packet: Buffer.concat(pieces),
      segmentSize: kind === "none" ? 0 : segmentSize,
    });
    run.clear();
  };
  for (const [index, packet] of packets.entries()) {
    const at = starts[index] ?? 0;
    if (run.tryAppend(at, packet.length)) {
      pieces.push(memory.subarray(at + run.headerLength, at + packet.length));
    } else {
      flush();
      run.begin(at, packet.length);
      pieces = [memory.subarray(at, at + packet.length)];
    }
  }
  flush();
  return delivered;
}

const cutAgain = (delivered: readonly Delivered[]): Uint8Array[] =>
  delivered.flatMap(({ packet, segmentSize }) =>
    segmentSize === 0 ? [packet] : naiveSegments(packet, segmentSize),
  );

/** A consecutive TCP stream in packets of the given sizes. */
function stream(sizes: readonly number[], fields: Partial<TcpFields> = {}): Uint8Array[] {
  let sequence = fields.sequence ?? 5000;
  return sizes.map((size, index) => {
    const id = (fields.id ?? 10) + index;
    const packet = tcpPacket({ ...fields, sequence, id, payload: payload(size, index) });
    sequence += size;
    return packet;
  });
}

/** The packet with something changed, and right checksums again. */
function edited(packet: Uint8Array, change: (copy: Buffer) => void): Uint8Array {
  const copy = Buffer.from(packet);
  change(copy);
  return withChecksums(copy);
}

/** Ids mean nothing on packets that may not be fragmented, and joining makes them consecutive. */
function withoutVoidId(packet: Uint8Array): string {
  const copy = Buffer.from(packet);
  if ((copy.readUInt16BE(6) & 0x4000) !== 0) copy.writeUInt32BE(copy.readUInt32BE(4) & 0xffff, 4);
  copy.writeUInt16BE(0, 10);
  return copy.toString("hex");
}

describe("joining packets", () => {
  it("makes one super-segment of a consecutive TCP stream", () => {
    const delivered = join(stream([1420, 1420, 1420, 700]));
    assert.equal(delivered.length, 1);
    assert.equal(delivered[0]?.segmentSize, 1420);
    assert.equal(delivered[0]?.packet.length, 52 + 4960);
  });

  it("makes one super-segment of equal UDP datagrams, the last of which may be shorter", () => {
    const packets = [64, 64, 64, 10].map((size, id) => udpPacket({ payload: payload(size), id }));
    assert.deepEqual(
      join(packets).map(({ segmentSize }) => segmentSize),
      [64],
    );
  });

  it("ends a super-segment at a shorter packet, at PSH, and at 64 KiB", () => {
    assert.equal(join(stream([100, 50, 100, 100])).length, 2);
    const pushed = [
      ...stream([100, 100], { sequence: 0 }),
      ...stream([100], { flags: 0x18, sequence: 200 }),
      ...stream([100], { sequence: 300 }),
    ];
    assert.equal(join(pushed).length, 2);
    const long = join(stream(Array.from({ length: 50 }, () => 1420)));
    assert.deepEqual(
      long.map(({ packet }) => packet.length),
      [52 + 46 * 1420, 52 + 4 * 1420],
    );
  });

  it("holds no more than 64 datagrams", () => {
    const packets = Array.from({ length: 70 }, (_, id) => udpPacket({ payload: payload(64), id }));
    assert.deepEqual(
      join(packets).map(({ packet }) => packet.length),
      [28 + 64 * 64, 28 + 6 * 64],
    );
  });

  it("holds the joined packet's PSH", () => {
    const [first, second] = [
      ...stream([100], { sequence: 0 }),
      ...stream([100], { flags: 0x18, sequence: 100 }),
    ];
    const [joined] = join([first ?? payload(0), second ?? payload(0)]);
    assert.equal((joined?.packet[33] ?? 0) & 0x08, 0x08);
  });

  it("leaves alone what differs in anything but sequence number, id, PSH and payload", () => {
    const base: Partial<TcpFields> = { sequence: 0, id: 1, dontFragment: false };
    const next: Partial<TcpFields> = { sequence: 100, id: 2, dontFragment: false };
    const follows = (second: Partial<TcpFields>): number =>
      join([
        tcpPacket({ ...base, payload: payload(100) }),
        tcpPacket({ ...next, payload: payload(100), ...second }),
      ]).length;
    assert.equal(follows({}), 1, "the same flow is joined");
    assert.equal(follows({ sequence: 101 }), 2, "a gap");
    assert.equal(follows({ sequence: 0 }), 2, "a repetition");
    assert.equal(follows({ acknowledgement: 78 }), 2);
    assert.equal(follows({ window: 501 }), 2);
    assert.equal(follows({ ports: [40_001, 5201] }), 2);
    assert.equal(follows({ source: 0x0a010103 }), 2);
    assert.equal(follows({ destination: 0x0a010203 }), 2);
    assert.equal(follows({ ttl: 63 }), 2);
    assert.equal(follows({ tos: 3 }), 2, "congestion experienced");
    assert.equal(follows({ options: new Uint8Array(12).fill(2) }), 2);
    assert.equal(follows({ options: new Uint8Array(8).fill(1) }), 2);
    assert.equal(follows({ id: 3 }), 2, "an id that is not the next");
    assert.equal(follows({ dontFragment: true }), 2);
    assert.equal(follows({ payload: payload(101) }), 2, "longer than the first");
    assert.equal(follows({ payload: payload(0) }), 2, "a pure acknowledgement");
    const marked = (mark: (copy: Buffer) => void): number =>
      join([
        tcpPacket({ ...base, payload: payload(100) }),
        edited(tcpPacket({ ...next, payload: payload(100) }), mark),
      ]).length;
    assert.equal(
      marked((copy) => copy.writeUInt8(0x81, 32)),
      2,
      "a reserved bit",
    );
    assert.equal(
      marked((copy) => copy.writeUInt16BE(7, 38)),
      2,
      "an urgent pointer",
    );
    for (const flags of [0x11, 0x12, 0x14, 0x30, 0x50, 0x90]) assert.equal(follows({ flags }), 2);
  });

  it("never joins fragments, options in the IP header, or UDP without a checksum", () => {
    const fragments = stream([100, 100]).map((packet) => {
      const copy = Buffer.from(packet);
      copy.writeUInt16BE(0x2000, 6);
      return withChecksums(copy);
    });
    assert.equal(join(fragments).length, 2);
    const unsummed = [1, 2].map((id) => {
      const copy = Buffer.from(udpPacket({ payload: payload(64), id }));
      copy.writeUInt16BE(0, 26);
      return copy;
    });
    assert.equal(join(unsummed).length, 2);
    const zero = [1, 2].map((id) => {
      const copy = Buffer.from(udpPacketSummingToZero({ id }));
      copy.writeUInt16BE(0, 26);
      return copy;
    });
    assert.equal(join(zero).length, 2, "no checksum, where the right one would be zero");
    const padded = [1, 2].map((id) =>
      edited(udpPacket({ payload: payload(64), id }), (copy) => copy.writeUInt16BE(40, 24)),
    );
    assert.equal(join(padded).length, 2, "a UDP length that is not the packet's");
    const icmp = [1, 2].map((id) => withChecksums(ipPacket(1, payload(64), { id })));
    assert.equal(join(icmp).length, 2);
  });

  it("never joins a damaged packet, first or later, and leaves it as it came", () => {
    for (const damaged of [0, 1, 2]) {
      for (const at of [4, 10, 30, 100]) {
        const packets = stream([100, 100, 100], { dontFragment: false }).map((packet, index) => {
          const copy = Buffer.from(packet);
          if (index === damaged) copy.writeUInt8((copy[at] ?? 0) ^ 0x10, at);
          return copy;
        });
        const cut = cutAgain(join(packets));
        const original = packets[damaged] ?? payload(0);
        assert.ok(cut.some((packet) => Buffer.from(packet).equals(original)));
        assert.equal(cut.length, 3);
      }
    }
  });

  it("does only what was asked for", () => {
    const udp = [1, 2].map((id) => udpPacket({ payload: payload(64), id }));
    assert.equal(join(udp, { tcp: true, udp: false }).length, 2);
    assert.equal(join(stream([100, 100]), { tcp: false, udp: true }).length, 2);
  });

  it("can always be undone: cutting gives back the packets that came, in their order", () => {
    const packet = fc.record({
      udp: fc.boolean(),
      flow: fc.integer({ min: 0, max: 1 }),
      size: fc.constantFrom(0, 1, 99, 100, 100, 100),
      skip: fc.constantFrom(0, 0, 0, 0, 7),
      flags: fc.constantFrom(0x10, 0x10, 0x10, 0x18, 0x11),
      idStep: fc.constantFrom(1, 1, 1, 2),
      dontFragment: fc.boolean(),
      damage: fc.constantFrom(-1, -1, -1, -1, 30, 45),
    });
    fc.assert(
      fc.property(fc.array(packet, { maxLength: 30 }), (plan) => {
        const sequences = [0xffffff00, 1000];
        let id = 65_530;
        const packets = plan.map(({ udp, flow, size, skip, idStep, damage, ...rest }, seed) => {
          id += idStep;
          const sequence = (sequences[flow] ?? 0) + skip;
          sequences[flow] = sequence + size;
          const ports = [1000 + flow, 2000] as const;
          const fields = { ...rest, id, sequence, ports, payload: payload(size, seed) };
          const made = Buffer.from(udp ? udpPacket(fields) : tcpPacket(fields));
          if (damage >= 0 && damage < made.length) made[damage] = (made[damage] ?? 0) ^ 1;
          return made;
        });
        assert.deepEqual(cutAgain(join(packets)).map(withoutVoidId), packets.map(withoutVoidId));
      }),
      { numRuns: 300 },
    );
  });
});
