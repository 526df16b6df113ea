/** flannel's keys (contract 1.1): its vectors, its refusals, one spelling per subnet. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { formatSubnetKey, parseSubnetKey } from "../../../../common/lease/subnet-key.ts";
import { cidr, formatCidr } from "../../../../common/net/cidr.ts";
import { ip4, ip6, maxAddress } from "../../../../common/net/ip.ts";

const v4 = fc
  .tuple(fc.bigInt({ min: 0n, max: maxAddress(4) }), fc.integer({ min: 1, max: 31 }))
  .map(([value, prefix]) => cidr(ip4(value), prefix));
const v6 = fc
  .tuple(fc.bigInt({ min: 0n, max: maxAddress(6) }), fc.integer({ min: 0, max: 127 }))
  .map(([value, prefix]) => cidr(ip6(value), prefix));
const anySubnets = fc
  .oneof(fc.tuple(v4, fc.option(v6, { nil: undefined })), fc.tuple(fc.constant(undefined), v6))
  .map(([four, six]) => ({ v4: four, v6: six }));

/** "v4 v6" for easy reading; undefined when refused. */
function parsed(text: string): string | undefined {
  const subnets = parseSubnetKey(text);
  if (subnets === undefined) return undefined;
  const parts = [subnets.v4, subnets.v6].map((net) => (net === undefined ? "-" : formatCidr(net)));
  return parts.join(" ");
}

describe("a subnet key", () => {
  it("is read back as it was written", () => {
    fc.assert(
      fc.property(anySubnets, (subnets) => {
        assert.deepEqual(parseSubnetKey(formatSubnetKey(subnets)), subnets);
      }),
    );
  });

  it("has one spelling per subnet: what is read is written the same for ever", () => {
    const text = fc.string({ unit: fc.constantFrom(..."0123456789abcdef.:-&") });
    fc.assert(
      fc.property(text, (key) => {
        const subnets = parseSubnetKey(key);
        if (subnets === undefined) return;
        const canonical = formatSubnetKey(subnets);
        assert.deepEqual(parseSubnetKey(canonical), subnets);
      }),
      { numRuns: 1000 },
    );
  });

  const good: [key: string, expected: string][] = [
    ["10.5.52.0-24", "10.5.52.0/24 -"],
    ["10.5.52.0-31", "10.5.52.0/31 -"],
    ["10.50.53.0-24&fd50:0:0:44::-64", "10.50.53.0/24 fd50:0:0:44::/64"],
    ["0.0.0.0-0&fd50:0:0:29::-64", "- fd50:0:0:29::/64"],
    ["10.5.52.7-24", "10.5.52.0/24 -"],
    ["10.5.52.0-24&fd50::7-64", "10.5.52.0/24 fd50::/64"],
    ["10.5.52.0-24&fd50:0:0:0:0:0:0:0-127", "10.5.52.0/24 fd50::/127"],
  ];
  for (const [key, expected] of good) {
    it(`is read: ${key}`, () => assert.equal(parsed(key), expected));
  }

  /** The list of contract 1.1; "..." there stands for a good IPv4 half. */
  const contract = [
    "10",
    "10.12.13.0",
    "10.12.13-24",
    "10.12.13.300-24",
    "10.12.13.0-24hi",
    "&2001::-56",
    "10.12.13.0-24&:12:13:-56",
    "10.12.13.0-24&20011::-56",
    "10.12.13.0-24&2001-56",
    "10.12.13.0-24&2001::",
    "10.12.13.0-24&2001::-56hi",
  ];
  const ours = [
    "",
    "10.12.13.0-32",
    "10.12.13.0-24&2001::-128",
    "10.12.13.0-24&FD00::-64",
    "10.12.13.0-24&::ffff:10.0.0.1-96",
    "10.12.13.0-24&",
    "10.12.13.0-24&2001::-56&2002::-56",
    "fd50::-64",
    "0.0.0.0-0",
    "10.12.13.0/24",
    "10.12.13.0--24",
    "010.12.13.0-24",
    " 10.12.13.0-24",
    "10.12.13.0-24\n",
    "x/10.12.13.0-24",
  ];
  for (const key of [...contract, ...ours]) {
    it(`is refused: ${JSON.stringify(key)}`, () => assert.equal(parsed(key), undefined));
  }
});
