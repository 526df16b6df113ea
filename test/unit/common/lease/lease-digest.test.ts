/** The digest of a table: the same for the same leases in any order, another for any others. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { Lease, LeaseAttrs } from "../../../../common/lease/lease.ts";
import {
  addLease,
  digestOf,
  EMPTY_DIGEST,
  formatDigest,
  removeLease,
} from "../../../../common/lease/lease-digest.ts";
import { formatSubnetKey } from "../../../../common/lease/subnet-key.ts";
import { cidr } from "../../../../common/net/cidr.ts";
import { ip4, ip6 } from "../../../../common/net/ip.ts";
import { seededRandom, shuffled } from "../../../support/seeded-random.ts";

/** Node number `index`, as a real fleet has them: alike but for a digit here and there. */
function lease(index: number, attrs: Partial<LeaseAttrs> = {}, node = `node-${index}`): Lease {
  const subnets = { v4: cidr(ip4(0x0af40000n + (BigInt(index) << 8n)), 24), v6: undefined };
  const mac = `7e:3f:9b:d9:${(index >> 8).toString(16).padStart(2, "0")}:${(index & 255).toString(16).padStart(2, "0")}`;
  return {
    key: formatSubnetKey(subnets),
    subnets,
    attrs: {
      publicIp: ip4(0xc0a80000n + BigInt(index)),
      publicIpv6: undefined,
      backendType: "vxlan",
      backendData: `{"VNI":1,"VtepMAC":"${mac}"}`,
      backendV6Data: "",
      ...attrs,
    },
    node,
  };
}

const fleet = (size: number): Lease[] => Array.from({ length: size }, (_, index) => lease(index));
const anyLease = fc.integer({ min: 0, max: 65_535 }).map((index) => lease(index));

describe("the digest", () => {
  it("does not depend on the order of the leases", () => {
    fc.assert(
      fc.property(fc.array(anyLease), fc.integer(), (leases, seed) => {
        assert.equal(digestOf(shuffled(leases, seededRandom(seed))), digestOf(leases));
      }),
    );
  });

  it("is what it was when a lease that was added is removed", () => {
    fc.assert(
      fc.property(fc.array(anyLease), anyLease, (leases, one) => {
        const before = digestOf(leases);
        const during = addLease(before, one);
        assert.notEqual(during, before);
        assert.equal(removeLease(during, one), before);
        assert.equal(addLease(removeLease(before, one), one), before);
      }),
    );
  });

  it("is the sum of its steps", () => {
    const leases = fleet(20);
    assert.equal(leases.reduce(addLease, EMPTY_DIGEST), digestOf(leases));
  });

  it("sees a change of every field", () => {
    const base = lease(7);
    const changed: Lease[] = [
      lease(8),
      lease(7, { publicIp: ip4(1n) }),
      lease(7, { publicIp: undefined }),
      lease(7, { publicIpv6: ip6(1n) }),
      lease(7, { backendType: "host-gw" }),
      lease(7, { backendData: '{"VNI":2}' }),
      lease(7, { backendV6Data: '{"VNI":2}' }),
      lease(7, {}, "node-8"),
      // The same text in the neighbouring field.
      lease(7, { backendData: "", backendV6Data: base.attrs.backendData }),
    ];
    const digests = [base, ...changed].map((one) => digestOf([one]));
    assert.equal(new Set(digests).size, digests.length);
  });

  it("sees two leases that have swapped a field", () => {
    let unseen = 0;
    for (let a = 0; a < 60; a += 1) {
      for (let b = a + 1; b < 60; b += 1) {
        const [one, other] = [lease(a), lease(b)];
        const swaps: [Lease, Lease][] = [
          [lease(a, {}, other.node), lease(b, {}, one.node)],
          [
            lease(a, { publicIp: other.attrs.publicIp }),
            lease(b, { publicIp: one.attrs.publicIp }),
          ],
          [
            lease(a, { backendData: other.attrs.backendData }),
            lease(b, { backendData: one.attrs.backendData }),
          ],
        ];
        const honest = digestOf([one, other]);
        unseen += swaps.filter((pair) => digestOf(pair) === honest).length;
      }
    }
    assert.equal(unseen, 0);
  });

  it("differs for all single leases and all pairs of a large fleet", () => {
    const singles = new Set(fleet(20_000).map((one) => digestOf([one])));
    assert.equal(singles.size, 20_000);
    const small = fleet(150);
    const pairs = small.flatMap((a, i) => small.slice(i + 1).map((b) => digestOf([a, b])));
    assert.equal(new Set(pairs).size, pairs.length);
  });

  it("stays the same from version to version: either side may be older", () => {
    assert.equal(formatDigest(digestOf(fleet(3))), "48c593190297bc76");
    assert.equal(formatDigest(EMPTY_DIGEST), "0000000000000000");
  });

  it("has 64 bits, each of them used", () => {
    const digests = fleet(500).map((one) => digestOf([one]));
    for (let bit = 0n; bit < 64n; bit += 1n) {
      const ones = digests.filter((digest) => (digest >> bit) & 1n).length;
      assert.ok(ones > 150 && ones < 350, `bit ${bit}: ${ones} of 500`);
    }
    assert.ok(digests.every((digest) => digest < 2n ** 64n));
    assert.ok(digests.every((digest) => formatDigest(digest).length === 16));
  });
});
