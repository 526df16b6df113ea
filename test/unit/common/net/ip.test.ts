/** Addresses: text as Go reads and RFC 5952 writes it, bytes, and nothing else accepted. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  addressBits,
  formatIp,
  type Ip,
  ip4,
  ip6,
  ipFromBytes,
  ipToBytes,
  isUnspecified,
  maxAddress,
  parseIp,
  parseIp4,
  parseIp6,
  sameIp,
} from "../../../../common/net/ip.ts";

const anyIp4 = fc.bigInt({ min: 0n, max: maxAddress(4) }).map(ip4);
/** Groups of zeros are what makes IPv6 text hard, so they are frequent here. */
const anyIp6 = fc
  .array(fc.oneof(fc.constant(0n), fc.bigInt({ min: 0n, max: 0xffffn })), {
    minLength: 8,
    maxLength: 8,
  })
  .map((groups) => ip6(groups.reduce((value, group) => (value << 16n) | group, 0n)));
const anyIp: fc.Arbitrary<Ip> = fc.oneof(anyIp4, anyIp6);

describe("an address as text", () => {
  it("is read back as it was written", () => {
    fc.assert(fc.property(anyIp, (ip) => assert.deepEqual(parseIp(formatIp(ip)), ip)));
  });

  const canonical = [
    "0.0.0.0",
    "10.5.52.0",
    "255.255.255.255",
    "::",
    "::1",
    "1::",
    "fd50:0:0:44::",
    "2001:db8::1:0:0:1",
    "2001:db8:0:1:1:1:1:1",
    "2001:0:0:1::1",
    "1:2:3:4:5:6:7:8",
    "fe80::ffff:ffff:ffff:ffff",
  ];
  for (const text of canonical) {
    it(`stays as it is when it is canonical: ${text}`, () => {
      const ip = parseIp(text);
      assert.ok(ip);
      assert.equal(formatIp(ip), text);
    });
  }

  const spellings: [text: string, canonical: string][] = [
    ["FD50::44", "fd50::44"],
    ["fd50:0000:0000:0044:0:0:0:0", "fd50:0:0:44::"],
    ["0:0:0:0:0:0:0:0", "::"],
    ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"],
    ["::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"],
    ["::ffff:10.0.0.1", "::ffff:a00:1"],
    ["1:2:3:4:5:6:10.0.0.1", "1:2:3:4:5:6:a00:1"],
  ];
  for (const [text, expected] of spellings) {
    it(`is written canonically: ${text}`, () => {
      const ip = parseIp(text);
      assert.ok(ip);
      assert.equal(formatIp(ip), expected);
    });
  }

  const malformed = [
    "",
    " ",
    "10",
    "10.5.52",
    "10.5.52.0.1",
    "10.5.52.256",
    "10.5.52.300",
    "010.5.52.0",
    "10.5.52.0x1",
    "10.5.52.-1",
    "10.5.52. 1",
    "10..52.0",
    "１0.5.52.0",
    ":",
    ":::",
    "1::2::3",
    ":1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "::1:2:3:4:5:6:7:8",
    "20011::",
    "g::",
    "10.0.0.1::",
    "::10.0.0",
    "::10.0.0.1:1",
    "fe80::1%eth0",
    "[::1]",
  ];
  for (const text of malformed) {
    it(`is refused when malformed: ${JSON.stringify(text)}`, () => {
      assert.equal(parseIp(text), undefined);
    });
  }

  it("may be anything: never a throw, never an address out of range", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...":.0123456789abcdefF ") }), (text) => {
        const ip = parseIp(text);
        if (ip !== undefined) assert.ok(ip.value >= 0n && ip.value <= maxAddress(ip.family));
      }),
      { numRuns: 1000 },
    );
  });

  it("of one family is not taken for the other", () => {
    assert.equal(parseIp4("::1"), undefined);
    assert.equal(parseIp6("10.0.0.1"), undefined);
    assert.equal(sameIp(ip4(1n), ip6(1n)), false);
  });
});

describe("an address as bytes", () => {
  it("comes back as it was", () => {
    fc.assert(
      fc.property(anyIp, (ip) => {
        assert.equal(ipToBytes(ip).length * 8, addressBits(ip.family));
        assert.deepEqual(ipFromBytes(ipToBytes(ip)), ip);
      }),
    );
  });

  it("is in network order", () => {
    assert.deepEqual([...ipToBytes(ip4(0x0a053400n))], [10, 5, 52, 0]);
  });

  it("has 4 or 16 of them", () => {
    assert.throws(() => ipFromBytes(new Uint8Array(5)), RangeError);
  });
});

describe("two addresses", () => {
  it("are the same when family and value are", () => {
    assert.equal(sameIp(ip4(5n), ip4(5n)), true);
    assert.equal(sameIp(ip4(5n), ip4(6n)), false);
  });
});

describe("the all-zero address", () => {
  it("means unset in both families", () => {
    assert.equal(isUnspecified(ip4(0n)) && isUnspecified(ip6(0n)), true);
    assert.equal(isUnspecified(ip4(1n)), false);
  });
});
