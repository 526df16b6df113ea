/** What comes from a socket is walked without trust: no bytes can crash or hang a decoder. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { decodeAddress } from "../../../../../agent/kernel/netlink/address.ts";
import { decodeLink, decodeLinkName } from "../../../../../agent/kernel/netlink/link.ts";
import { Attributes, Message } from "../../../../../agent/kernel/netlink/message.ts";
import {
  decodeFdb,
  decodeNeighbour,
  decodeNeighbourRemoval,
} from "../../../../../agent/kernel/netlink/neighbour.ts";
import { decodeRoute, decodeRouteLookup } from "../../../../../agent/kernel/netlink/route.ts";
import { decodeWireguardPage } from "../../../../../agent/kernel/netlink/wireguard.ts";
import { attribute, firstMessage, message } from "../../../../support/netlink-bytes.ts";

const named = (): string => "eth0";
const DECODERS: readonly ((message: Message) => unknown)[] = [
  decodeLink,
  decodeLinkName,
  (m) => decodeAddress(m, named),
  (m) => decodeNeighbour(m, named),
  (m) => decodeNeighbourRemoval(m, named),
  (m) => decodeFdb(m, named),
  (m) => decodeRoute(m, "both", named),
  decodeRouteLookup,
  (m) => decodeWireguardPage(m, 0),
];

/** Bodies that are nearly right: a plausible header, then attributes of any length. */
const nearlyRight = fc
  .record({
    head: fc.uint8Array({ minLength: 0, maxLength: 16 }),
    family: fc.constantFrom(0, 2, 7, 10),
    attributes: fc.array(
      fc.record({
        type: fc.nat({ max: 70 }),
        payload: fc.uint8Array({ maxLength: 24 }),
        // The length that the attribute claims, right or wrong.
        lie: fc.option(fc.nat({ max: 0xffff })),
      }),
      { maxLength: 8 },
    ),
  })
  .map(({ head, family, attributes }) => {
    if (head.length > 0) head[0] = family;
    const parts = attributes.map(({ type, payload, lie }) => {
      const bytes = attribute(type, payload);
      if (lie !== null) bytes.writeUInt16LE(lie, 0);
      return bytes;
    });
    return Buffer.concat([head, ...parts]);
  });

describe("decoders", () => {
  it("survive every body that is nearly right", () => {
    fc.assert(
      fc.property(nearlyRight, (body) => {
        const found = firstMessage(message({ type: 24, body }));
        assert.ok(found);
        for (const decode of DECODERS) decode(found);
      }),
      { numRuns: 2000 },
    );
  });

  it("survive every datagram, and come to its end", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const found = new Message(256);
        found.bytes.set(bytes);
        found.load(bytes.length);
        let count = 0;
        while (found.next()) {
          count += 1;
          for (const decode of DECODERS) decode(found);
        }
        assert.ok(count <= 200 / 16);
      }),
      { numRuns: 2000 },
    );
  });

  it("find nothing in a message that is cut off anywhere", () => {
    const whole = message({ type: 24, body: Buffer.alloc(40) });
    for (let length = 0; length < whole.length; length += 1) {
      assert.equal(firstMessage(whole.subarray(0, length)), undefined);
    }
  });
});

describe("a message cursor", () => {
  it("walks the messages of a datagram", () => {
    const found = new Message(256);
    const datagram = Buffer.concat([
      message({ type: 1, flags: 2, seq: 3, body: Buffer.from([4]) }),
      message({ type: 5, seq: 0xffffffff }),
    ]);
    found.bytes.set(datagram);
    found.load(datagram.length);
    assert.ok(found.next());
    assert.deepEqual(
      [found.type, found.flags, found.seq, found.bodyLength, found.u8(0)],
      [1, 2, 3, 1, 4],
    );
    assert.ok(found.next());
    assert.deepEqual([found.type, found.seq, found.bodyLength], [5, 0xffffffff, 0]);
    assert.equal(found.next(), false);
  });

  it("ends at a length that is too small or too large", () => {
    for (const length of [0, 15, 17, 0xffffffff]) {
      const bytes = message({ type: 1 });
      bytes.writeUInt32LE(length, 0);
      assert.equal(firstMessage(bytes), undefined, `${length}`);
    }
  });

  it("cuts a datagram that did not fit", () => {
    const found = new Message(16);
    found.bytes.set(message({ type: 1 }));
    found.load(4096);
    assert.ok(found.next());
    assert.equal(found.next(), false);
  });
});

describe("attributes", () => {
  const scan = (...parts: readonly Buffer[]): Attributes => {
    const found = firstMessage(message({ type: 1, body: Buffer.concat(parts) }));
    assert.ok(found);
    return found.attributes(0, new Attributes());
  };

  it("of the wrong length are as good as absent", () => {
    const found = scan(
      attribute(1, Buffer.alloc(3)),
      attribute(2, Buffer.alloc(5)),
      attribute(3, Buffer.alloc(8)),
    );
    assert.equal(found.u32(1), undefined);
    assert.equal(found.ip(2), undefined);
    assert.equal(found.mac(2), undefined);
    assert.equal(found.mac(3), undefined);
    assert.equal(found.port(4), undefined);
    assert.equal(found.has(1), true);
    assert.equal(found.has(4), false);
  });

  it("have texts with and without the closing zero", () => {
    const found = scan(attribute(1, Buffer.from("eth0\0")), attribute(2, Buffer.from("eth1")));
    assert.deepEqual([found.text(1), found.text(2), found.text(3)], ["eth0", "eth1", undefined]);
  });

  it("are known by their number, whatever flags it carries", () => {
    const found = scan(attribute(3 | 0x8000, attribute(1, Buffer.from([7, 0, 0, 0]))));
    assert.equal(found.nested(3, new Attributes())?.u32(1), 7);
  });

  it("forget those of the message before", () => {
    const attributes = new Attributes();
    const one = firstMessage(message({ type: 1, body: attribute(1, Buffer.from([7, 0, 0, 0])) }));
    const two = firstMessage(message({ type: 1, body: attribute(2, Buffer.from([8, 0, 0, 0])) }));
    assert.ok(one && two);
    assert.equal(one.attributes(0, attributes).u32(1), 7);
    assert.equal(two.attributes(0, attributes).u32(1), undefined);
  });
});
