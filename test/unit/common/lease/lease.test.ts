/** One code path with a family: the accessors pick the half that was asked for. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { backendDataOf, publicIpOf, subnetOf } from "../../../../common/lease/lease.ts";
import { parseCidr } from "../../../../common/net/cidr.ts";
import { parseIp } from "../../../../common/net/ip.ts";

describe("a dual-stack lease", () => {
  it("has a subnet, a public address and backend data of each family", () => {
    const subnets = { v4: parseCidr("10.5.1.0/24"), v6: parseCidr("fd00:1::/64") };
    const attrs = {
      publicIp: parseIp("10.0.0.1"),
      publicIpv6: parseIp("fd99::1"),
      backendType: "vxlan",
      backendData: '{"VNI":1}',
      backendV6Data: '{"VNI":2}',
    };
    assert.deepEqual([subnetOf(subnets, 4), subnetOf(subnets, 6)], [subnets.v4, subnets.v6]);
    assert.deepEqual(
      [publicIpOf(attrs, 4), publicIpOf(attrs, 6)],
      [attrs.publicIp, attrs.publicIpv6],
    );
    assert.deepEqual(
      [backendDataOf(attrs, 4), backendDataOf(attrs, 6)],
      ['{"VNI":1}', '{"VNI":2}'],
    );
  });
});
