/**
 * What comes out of the TUN and off the wire in the udp backend: the kernel's own headers are
 * believed no more than a peer's. Nothing is read or written outside of what was read, no
 * packet is cut into more pieces than it has bytes, and nothing throws.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Run } from "../../../agent/tunnel/packet/coalescing.ts";
import { decrementTtl, ipv4Length, isIpv4 } from "../../../agent/tunnel/packet/ipv4.ts";
import {
  deservesUnreachable,
  NET_UNREACHABLE_MAX_BYTES,
  writeNetUnreachable,
} from "../../../agent/tunnel/packet/net-unreachable.ts";
import {
  completeChecksum,
  readSuperSegment,
  segmentPayloadLength,
  writeSegmentHeader,
} from "../../../agent/tunnel/packet/segmentation.ts";
import {
  readVirtioHeader,
  VIRTIO_HEADER_BYTES,
} from "../../../agent/tunnel/packet/virtio-header.ts";
import { nearlyBytes } from "../../support/fuzz.ts";
import { tcpPacket, udpPacket } from "../../support/packets.ts";

const payload = new Uint8Array(900).fill(7);
const GOOD = [tcpPacket({ payload }), udpPacket({ payload }), tcpPacket({}), udpPacket({})];
/** Written around the packet; must be found untouched. */
const GUARD = 0xa5;
const VIRTIO_AT = 16;
const HEADERS_BYTES = 120;
const GUARD_BYTES = 256;

/** A packet in memory, with room for one segment's headers behind it. */
function inMemory(bytes: Uint8Array): { view: DataView; ip: number; out: number; all: Uint8Array } {
  const ip = GUARD_BYTES + VIRTIO_HEADER_BYTES + 2;
  const out = Math.ceil((ip + bytes.length) / 4) * 4 + GUARD_BYTES;
  const all = new Uint8Array(out + HEADERS_BYTES + NET_UNREACHABLE_MAX_BYTES + GUARD_BYTES);
  all.fill(GUARD);
  all.set(bytes, ip);
  return { view: new DataView(all.buffer), ip, out, all };
}

describe("a packet from the TUN", () => {
  it("is cut, completed or refused, whatever its headers say", () => {
    const virtio = fc.uint8Array({
      minLength: VIRTIO_HEADER_BYTES,
      maxLength: VIRTIO_HEADER_BYTES,
    });
    fc.assert(
      fc.property(nearlyBytes(GOOD), virtio, (bytes, head) => {
        const { view, ip, out, all } = inMemory(bytes);
        all.set(head, ip - VIRTIO_HEADER_BYTES);
        if (bytes.length > 0 && !isIpv4(view, ip)) return;
        const length = ipv4Length(view, ip, bytes.length);
        assert.ok(length <= bytes.length);
        if (length === 0) return;
        if (deservesUnreachable(view, ip, length)) {
          const written = writeNetUnreachable(view, { ip, length }, out, 0x0a010101);
          assert.ok(written <= NET_UNREACHABLE_MAX_BYTES);
        }
        if (!decrementTtl(view, ip)) return;
        const { segmentSize, checksumStart, checksumOffset } = readVirtioHeader(
          view,
          ip - VIRTIO_HEADER_BYTES,
        );
        cut(view, { ip, length, segmentSize, out });
        completeChecksum(view, { ip, length }, checksumStart, checksumOffset);
        const before = all.subarray(0, GUARD_BYTES);
        const behind = all.subarray(ip + bytes.length, out);
        assert.ok([...before, ...behind].every((byte) => byte === GUARD));
      }),
      { numRuns: 3000 },
    );
  });
});

function cut(
  view: DataView,
  { ip, length, segmentSize, out }: Record<"ip" | "length" | "segmentSize" | "out", number>,
): void {
  const whole = readSuperSegment(view, ip, length, segmentSize);
  if (whole === undefined) return;
  assert.ok(whole.headerLength <= HEADERS_BYTES && whole.count <= length);
  let total = 0;
  for (let index = 0; index < whole.count; index += 1) {
    const size = segmentPayloadLength(whole, index);
    assert.ok(size > 0 && size <= segmentSize);
    total += size;
    if (index < 3) writeSegmentHeader(view, whole, index, out);
  }
  assert.equal(total, length - whole.headerLength);
}

describe("packets from a peer", () => {
  it("are joined or left alone, and never run over the end", () => {
    fc.assert(
      fc.property(fc.array(nearlyBytes(GOOD), { maxLength: 8 }), (packets) => {
        const { all, places, used } = oneBehindTheOther(packets);
        joined(new Run(new DataView(all.buffer), { tcp: true, udp: true }), all, places);
        assert.ok(all.subarray(used).every((byte) => byte === GUARD));
      }),
      { numRuns: 2000 },
    );
  });
});

interface Place {
  readonly at: number;
  readonly bytes: number;
}

function oneBehindTheOther(packets: readonly Uint8Array[]): {
  readonly all: Uint8Array;
  readonly places: readonly Place[];
  readonly used: number;
} {
  const places: Place[] = [];
  let used = GUARD_BYTES;
  for (const { length } of packets) {
    places.push({ at: used, bytes: length });
    used = Math.ceil((used + length) / 4) * 4;
  }
  const all = new Uint8Array(used + GUARD_BYTES).fill(GUARD);
  for (const [index, { at }] of places.entries()) all.set(packets[index] ?? [], at);
  return { all, places, used };
}

/** As the receiving side of the tunnel does it. */
function joined(run: Run, all: Uint8Array, places: readonly Place[]): void {
  const view = new DataView(all.buffer);
  for (const { at, bytes } of places) {
    const length = ipv4Length(view, at, bytes);
    if (length === 0 || !decrementTtl(view, at)) continue;
    if (run.count > 0 && run.tryAppend(at, length)) continue;
    if (run.count > 0) run.finish(VIRTIO_AT);
    run.begin(at, length);
  }
  if (run.count > 0) run.finish(VIRTIO_AT);
}
