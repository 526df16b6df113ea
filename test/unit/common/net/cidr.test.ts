/** Networks: masking, order and overlap are those of sets of addresses. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  type Cidr,
  cidr,
  cidrSize,
  containsCidr,
  containsIp,
  formatCidr,
  gatewayAddress,
  lastAddress,
  mask,
  overlaps,
  parseCidr,
  parseInterfaceAddress,
  sameCidr,
} from "../../../../common/net/cidr.ts";
import { addressBits, formatIp, ip4, ip6, maxAddress } from "../../../../common/net/ip.ts";

const anyCidr = fc
  .constantFrom(4 as const, 6 as const)
  .chain((family) =>
    fc
      .tuple(
        fc.bigInt({ min: 0n, max: maxAddress(family) }),
        fc.integer({ min: 0, max: addressBits(family) }),
      )
      .map(([value, prefix]) => cidr({ family, value }, prefix)),
  );
/** Few addresses, so that networks meet. */
const nearCidr = fc
  .tuple(fc.bigInt({ min: 0n, max: 63n }), fc.integer({ min: 26, max: 32 }))
  .map(([value, prefix]) => cidr(ip4(value), prefix));

function parsed(text: string): Cidr {
  const network = parseCidr(text);
  assert.ok(network, text);
  return network;
}

/** Every address of a small network. */
function members(network: Cidr): Set<bigint> {
  const all = new Set<bigint>();
  for (let value = network.ip.value; value <= lastAddress(network); value += 1n) all.add(value);
  return all;
}

describe("a network as text", () => {
  it("is read back as it was written", () => {
    fc.assert(
      fc.property(anyCidr, (network) => assert.deepEqual(parseCidr(formatCidr(network)), network)),
    );
  });

  it("loses its host bits, as in flannel", () => {
    assert.equal(formatCidr(parsed("10.1.2.3/16")), "10.1.0.0/16");
    assert.equal(formatCidr(parsed("fc00::1/48")), "fc00::/48");
    assert.equal(formatCidr(parsed("1.2.3.4/32")), "1.2.3.4/32");
    assert.equal(formatCidr(parsed("fc00::1/128")), "fc00::1/128");
    assert.equal(formatCidr(parsed("1.2.3.4/0")), "0.0.0.0/0");
  });

  it("keeps them as an interface's address", () => {
    const address = parseInterfaceAddress("10.1.2.3/16");
    assert.equal(address && formatIp(address.ip), "10.1.2.3");
    assert.equal(address?.prefix, 16);
  });

  for (const text of ["10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "::/129", "10.0.0.0/-1", "/8"]) {
    it(`is refused when malformed: ${text}`, () => assert.equal(parseCidr(text), undefined));
  }
  for (const text of ["10.0.0.0/08", "10.0.0.0/8 ", "10.0.0.0/8/8", "10.0.0/8", "10.0.0.0/+8"]) {
    it(`is refused when malformed: ${text}`, () => assert.equal(parseCidr(text), undefined));
  }
});

describe("a network as a set of addresses", () => {
  it("contains what lies between its first and its last address", () => {
    fc.assert(
      fc.property(nearCidr, fc.bigInt({ min: 0n, max: 63n }), (network, value) => {
        assert.equal(containsIp(network, ip4(value)), members(network).has(value));
      }),
    );
  });

  it("overlaps and contains another as the sets do", () => {
    fc.assert(
      fc.property(nearCidr, nearCidr, (a, b) => {
        const [inA, inB] = [members(a), members(b)];
        assert.equal(
          overlaps(a, b),
          [...inA].some((value) => inB.has(value)),
        );
        assert.equal(
          containsCidr(a, b),
          [...inB].every((value) => inA.has(value)),
        );
        assert.equal(sameCidr(a, b), containsCidr(a, b) && containsCidr(b, a));
      }),
    );
  });

  it("has as many addresses as its size says", () => {
    fc.assert(
      fc.property(anyCidr, (network) => {
        assert.equal(lastAddress(network) - network.ip.value + 1n, cidrSize(network));
        assert.ok(lastAddress(network) <= maxAddress(network.ip.family));
      }),
    );
  });

  it("never mixes families", () => {
    const all4 = parsed("0.0.0.0/0");
    const all6 = parsed("::/0");
    assert.equal(overlaps(all4, all6), false);
    assert.equal(containsIp(all6, ip4(1n)), false);
    assert.equal(sameCidr(all4, all6), false);
    assert.equal(containsIp(all6, ip6(1n)), true);
  });
});

describe("the parts of a network", () => {
  it("are its mask and its gateway, the first address after its own", () => {
    assert.equal(formatIp(ip4(mask(4, 22))), "255.255.252.0");
    assert.equal(mask(6, 0), 0n);
    assert.equal(mask(6, 128), maxAddress(6));
    assert.equal(formatIp(gatewayAddress(parsed("10.50.53.0/24"))), "10.50.53.1");
    assert.equal(formatIp(gatewayAddress(parsed("fd50:0:0:44::/64"))), "fd50:0:0:44::1");
  });
});
