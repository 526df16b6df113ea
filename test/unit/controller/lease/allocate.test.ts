/** The laws of allocation: no overlap, inside the range, total until it is full. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { NetworkConfig } from "../../../../common/config/network-config.ts";
import { parseNetworkConfig } from "../../../../common/config/parse-network-config.ts";
import type { Subnets } from "../../../../common/lease/lease.ts";
import { formatSubnetKey } from "../../../../common/lease/subnet-key.ts";
import { overlaps } from "../../../../common/net/cidr.ts";
import { allocate, fitsConfig, type Taken } from "../../../../controller/lease/allocate.ts";
import { Occupancy } from "../../../../controller/lease/occupancy.ts";
import { subnetsOf } from "../../../support/lease-texts.ts";

function configOf(json: unknown): NetworkConfig {
  const parsed = parseNetworkConfig(JSON.stringify(json));
  if (parsed.kind !== "valid") throw new Error(JSON.stringify(parsed.problems));
  return parsed.config;
}

const V4 = configOf({ Network: "10.5.0.0/20", Backend: { Type: "vxlan" } });
const DUAL = configOf({
  Network: "10.5.0.0/20",
  EnableIPv6: true,
  IPv6Network: "fd05::/48",
  Backend: { Type: "vxlan" },
});

function takenIn(config: NetworkConfig, ...keys: string[]): Taken {
  const taken = {
    v4: config.v4 === undefined ? undefined : new Occupancy(config.v4),
    v6: config.v6 === undefined ? undefined : new Occupancy(config.v6),
  };
  for (const key of keys) take(taken, subnetsOf(key));
  return taken;
}

function take(taken: Taken, subnets: Subnets): void {
  if (subnets.v4 !== undefined) taken.v4?.add(subnets.v4);
  if (subnets.v6 !== undefined) taken.v6?.add(subnets.v6);
}

/** Allocates until the range is full, hinting at 10.5.<n>.0/24 by turns. */
function fill(taken: Taken, hinted: readonly number[]): readonly Subnets[] {
  const given: Subnets[] = [];
  for (;;) {
    const result = allocate(taken, [subnetsOf(`10.5.${hinted[given.length] ?? 0}.0-24`)]);
    if (result.kind === "exhausted") return given;
    given.push(result.subnets);
    take(taken, result.subnets);
  }
}

function overlap(a: Subnets, b: Subnets): boolean {
  return a.v4 !== undefined && b.v4 !== undefined && overlaps(a.v4, b.v4);
}

describe("allocation", () => {
  it("takes the first hint that is free, else the lowest free subnet", () => {
    const taken = takenIn(V4, "10.5.1.0-24", "10.5.7.0-24");
    const hints = ["10.5.7.0-24", "10.5.9.0-24", "10.5.8.0-24"].map(subnetsOf);
    const hinted = allocate(taken, hints);
    assert.ok(hinted.kind === "allocated" && hinted.hinted);
    assert.equal(formatSubnetKey(hinted.subnets), "10.5.9.0-24");
    const lowest = allocate(taken, []);
    assert.ok(lowest.kind === "allocated" && !lowest.hinted);
    assert.equal(formatSubnetKey(lowest.subnets), "10.5.2.0-24");
  });

  it("ignores hints of another length or outside the range", () => {
    const hints = ["10.5.9.0-25", "10.6.1.0-24", "10.5.0.0-24"].map(subnetsOf);
    const result = allocate(takenIn(V4), hints);
    assert.ok(result.kind === "allocated" && !result.hinted);
    assert.equal(formatSubnetKey(result.subnets), "10.5.1.0-24");
  });

  it("keeps the IPv4 half of a node that gets IPv6 now", () => {
    const result = allocate(takenIn(DUAL), [subnetsOf("10.5.9.0-24")]);
    assert.ok(result.kind === "allocated" && !result.hinted);
    assert.equal(formatSubnetKey(result.subnets), "10.5.9.0-24&fd05:0:0:1::-64");
  });

  it("says which family is full", () => {
    const tiny = configOf({ Network: "10.5.0.0/28", SubnetLen: 30, Backend: { Type: "vxlan" } });
    const taken = takenIn(tiny, "10.5.0.4-30", "10.5.0.8-30", "10.5.0.12-30");
    assert.deepEqual(allocate(taken, []), { kind: "exhausted", family: 4 });
  });

  it("never overlaps, never leaves the range, and goes on until the range is full", () => {
    const foreign = fc.array(
      fc
        .record({
          block: fc.integer({ min: 0, max: 31 }),
          prefix: fc.integer({ min: 22, max: 26 }),
        })
        .map(({ block, prefix }) => `10.5.${block >> 1}.${(block & 1) * 128}-${prefix}`),
      { maxLength: 6 },
    );
    fc.assert(
      fc.property(foreign, fc.array(fc.integer({ min: 0, max: 20 })), (keys, hinted) => {
        const others = keys.map((key) => subnetsOf(key));
        const taken = takenIn(V4);
        for (const subnets of others) take(taken, subnets);
        const free = taken.v4?.count().free;
        const given = fill(taken, hinted);
        for (const [index, subnets] of given.entries()) {
          assert.ok(fitsConfig(subnets, V4));
          const rest = [...others, ...given.slice(0, index)];
          assert.deepEqual(
            rest.filter((other) => overlap(subnets, other)),
            [],
          );
        }
        assert.equal(given.length, free);
      }),
    );
  });

  it("gives out ten thousand subnets without scanning ten thousand times", () => {
    const wide = configOf({ Network: "10.0.0.0/8", SubnetLen: 26, Backend: { Type: "vxlan" } });
    const taken = takenIn(wide);
    for (let count = 0; count < 10_000; count += 1) {
      const result = allocate(taken, []);
      assert.ok(result.kind === "allocated");
      take(taken, result.subnets);
    }
    assert.equal(taken.v4?.count().free, 2 ** 18 - 1 - 10_000);
  });
});

describe("whether a lease fits its config", () => {
  it("needs every family of the config, and no other", () => {
    assert.equal(fitsConfig(subnetsOf("10.5.3.0-24"), V4), true);
    assert.equal(fitsConfig(subnetsOf("10.5.3.0-24"), DUAL), false);
    assert.equal(fitsConfig(subnetsOf("10.5.3.0-24&fd05:0:0:7::-64"), V4), false);
    assert.equal(fitsConfig(subnetsOf("10.5.3.0-24&fd05:0:0:7::-64"), DUAL), true);
    assert.equal(fitsConfig(subnetsOf("10.5.3.0-25"), V4), false);
    assert.equal(fitsConfig(subnetsOf("10.5.0.0-24"), V4), false, "below SubnetMin");
  });
});
