/** The fast sums against RFC 1071 done word by word. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  addSums,
  complement,
  pseudoHeaderSum,
  sumBytes,
  updateChecksum,
} from "../../../../../agent/tunnel/packet/checksum.ts";
import { naiveChecksum, tcpPacket } from "../../../../support/packets.ts";

const viewOf = (bytes: Uint8Array): DataView => new DataView(Uint8Array.from(bytes).buffer);

describe("the Internet checksum", () => {
  it("equals the sum done word by word, at every offset and length", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(8), (bytes, offset) => {
        const shifted = viewOf(Uint8Array.from([...new Uint8Array(offset).fill(9), ...bytes]));
        assert.equal(complement(sumBytes(shifted, offset, bytes.length)), naiveChecksum(bytes));
      }),
    );
  });

  it("stays exact over the longest packet of all ones", () => {
    const ones = new Uint8Array(65_535).fill(255);
    assert.equal(complement(sumBytes(viewOf(ones), 0, ones.length)), naiveChecksum(ones));
  });

  it("can be summed in parts of even length", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.uint8Array({ maxLength: 64 }), (a, b) => {
        const even = a.subarray(0, a.length & ~1);
        const whole = viewOf(Uint8Array.from([...even, ...b]));
        const parts = addSums(
          sumBytes(whole, 0, even.length),
          sumBytes(whole, even.length, b.length),
        );
        assert.equal(parts, sumBytes(whole, 0, whole.byteLength));
      }),
    );
  });

  it("is corrected by the difference when one word changes", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 20, maxLength: 20 }),
        fc.nat(8),
        fc.nat(0xffff),
        (bytes, word, value) => {
          const before = Buffer.from(bytes);
          before[0] = 0x45;
          const after = Buffer.from(before);
          after.writeUInt16BE(value, 2 * word + 2);
          const updated = updateChecksum(
            naiveChecksum(before),
            before.readUInt16BE(2 * word + 2),
            value,
          );
          assert.equal(updated, naiveChecksum(after));
        },
      ),
    );
  });

  it("covers addresses, protocol and length by the pseudo header", () => {
    const packet = tcpPacket({ payload: new Uint8Array(100).fill(3) });
    const view = viewOf(packet);
    const length = packet.length - 20;
    const sum = addSums(pseudoHeaderSum(view, 0, length), sumBytes(view, 20, length));
    assert.equal(sum, 0xffff);
  });
});
