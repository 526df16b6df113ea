/** Free and taken subnets, against a naive search as the reference. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { SubnetRange } from "../../../../common/config/network-config.ts";
import { type Cidr, cidr, formatCidr, overlaps, parseCidr } from "../../../../common/net/cidr.ts";
import { ip4, parseIp } from "../../../../common/net/ip.ts";
import { Occupancy } from "../../../../controller/lease/occupancy.ts";

function range(network: string, subnetLen: number, min: string, max: string): SubnetRange {
  const parsed = { network: parseCidr(network), min: parseIp(min), max: parseIp(max) };
  const { network: net, min: subnetMin, max: subnetMax } = parsed;
  if (net === undefined || subnetMin === undefined || subnetMax === undefined) throw new Error();
  return { network: net, subnetLen, subnetMin, subnetMax };
}

const net = (text: string): Cidr => {
  const parsed = parseCidr(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
};

const lowest = (occupancy: Occupancy): string => {
  const free = occupancy.lowestFree();
  return free === undefined ? "full" : formatCidr(free);
};

/** 10.0.1.0/24 to 10.0.15.0/24, without those that overlap one of these. */
function freeBlocks(taken: readonly Cidr[]): readonly string[] {
  return Array.from({ length: 15 }, (_, n) => net(`10.0.${n + 1}.0/24`))
    .filter((block) => !taken.some((each) => overlaps(each, block)))
    .map(formatCidr);
}

/** Frees one of the taken subnets, or takes another; `taken` follows. */
function play(
  occupancy: Occupancy,
  taken: Cidr[],
  step: { readonly subnet: Cidr; readonly removal: number },
): void {
  if (step.removal % 3 > 0) {
    taken.push(step.subnet);
    occupancy.add(step.subnet);
    return;
  }
  for (const gone of taken.splice(step.removal % (taken.length + 1), 1)) occupancy.remove(gone);
}

describe("which subnets of a range are taken", () => {
  const small = range("10.3.0.0/16", 24, "10.3.1.0", "10.3.4.0");

  it("gives the lowest free subnet, and none when the range is full", () => {
    const occupancy = new Occupancy(small);
    const given: string[] = [];
    for (let free = occupancy.lowestFree(); free; free = occupancy.lowestFree()) {
      given.push(formatCidr(free));
      occupancy.add(free);
    }
    assert.deepEqual(given, ["10.3.1.0/24", "10.3.2.0/24", "10.3.3.0/24", "10.3.4.0/24"]);
    assert.deepEqual(occupancy.count(), { blocks: 4, free: 0 });
  });

  it("gives a freed subnet again, the lowest first", () => {
    const occupancy = new Occupancy(small);
    for (const n of [1, 2, 3, 4]) occupancy.add(net(`10.3.${n}.0/24`));
    occupancy.remove(net("10.3.3.0/24"));
    occupancy.remove(net("10.3.2.0/24"));
    assert.equal(lowest(occupancy), "10.3.2.0/24");
    occupancy.add(net("10.3.2.0/24"));
    assert.equal(lowest(occupancy), "10.3.3.0/24");
  });

  it("takes longer, shorter and outside subnets for what they overlap", () => {
    const occupancy = new Occupancy(small);
    occupancy.add(net("10.3.1.128/26"));
    occupancy.add(net("10.3.2.0/23"));
    occupancy.add(net("192.168.0.0/16"));
    occupancy.add(net("fd00::/64"));
    assert.equal(lowest(occupancy), "10.3.4.0/24");
    assert.equal(occupancy.isFree(net("10.3.1.0/24")), false);
    assert.equal(occupancy.isFree(net("10.3.4.0/24")), true);
    assert.equal(occupancy.isFree(net("10.3.5.0/24")), false, "beyond SubnetMax");
    assert.equal(occupancy.isFree(net("10.3.4.0/25")), false, "of another length");
  });

  it("is full from the start when SubnetMin lies above SubnetMax, as flannel has it", () => {
    const occupancy = new Occupancy(range("10.3.0.0/16", 24, "10.3.9.0", "10.3.4.0"));
    assert.equal(lowest(occupancy), "full");
    assert.deepEqual(occupancy.count(), { blocks: 0, free: 0 });
  });

  it("counts a subnet that was added twice until it was removed twice", () => {
    const occupancy = new Occupancy(small);
    occupancy.add(net("10.3.1.0/24"));
    occupancy.add(net("10.3.1.0/24"));
    occupancy.remove(net("10.3.1.0/24"));
    assert.equal(lowest(occupancy), "10.3.2.0/24");
    occupancy.remove(net("10.3.1.0/24"));
    assert.equal(lowest(occupancy), "10.3.1.0/24");
  });

  it("jumps over a foreign subnet of a million blocks, and comes back when it goes", () => {
    const occupancy = new Occupancy(range("10.0.0.0/8", 30, "10.0.0.4", "10.255.255.252"));
    occupancy.add(net("10.0.0.0/10"));
    assert.equal(lowest(occupancy), "10.64.0.0/30");
    occupancy.remove(net("10.0.0.0/10"));
    assert.equal(lowest(occupancy), "10.0.0.4/30");
  });

  it("works in an IPv6 range far larger than numbers count", () => {
    const occupancy = new Occupancy(
      range("fd00::/16", 120, "fd00::100", "fd00:ffff:ffff:ffff:ffff:ffff:ffff:ff00"),
    );
    assert.equal(lowest(occupancy), "fd00::100/120");
    occupancy.add(net("fd00::/80"));
    occupancy.add(net("fd00::1:0:0:0/120"));
    assert.equal(lowest(occupancy), "fd00::1:0:0:100/120");
  });

  it("agrees with a naive search after any history of takes and frees", () => {
    const network = range("10.0.0.0/20", 24, "10.0.1.0", "10.0.15.0");
    const subnet = fc
      .record({
        value: fc.integer({ min: 0, max: 0x1fff }),
        prefix: fc.integer({ min: 18, max: 28 }),
      })
      .map(({ value, prefix }) => cidr(ip4(0x0a00_0000n + BigInt(value)), prefix));
    const step = fc.record({ subnet, removal: fc.nat() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const occupancy = new Occupancy(network);
        const taken: Cidr[] = [];
        for (const each of steps) {
          play(occupancy, taken, each);
          const free = freeBlocks(taken);
          assert.equal(lowest(occupancy), free[0] ?? "full");
          assert.equal(occupancy.count().free, free.length);
        }
      }),
    );
  });
});
