/** A lease survives the wire, and nothing malformed gets past the decoder. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { Lease } from "../../../../common/lease/lease.ts";
import { leaseFromWire, leaseToWire } from "../../../../common/lease/lease-wire.ts";
import { formatSubnetKey } from "../../../../common/lease/subnet-key.ts";
import { cidr } from "../../../../common/net/cidr.ts";
import { type Ip, ip4, ip6 } from "../../../../common/net/ip.ts";

const v4 = fc.bigInt({ min: 1n, max: 2n ** 32n - 1n }).map(ip4);
// IPv4-mapped addresses print in hex groups here, so the whole range round-trips.
const v6 = fc.bigInt({ min: 1n, max: 2n ** 128n - 1n }).map(ip6);
const optional = (ip: fc.Arbitrary<Ip>): fc.Arbitrary<Ip | undefined> =>
  fc.option(ip, { nil: undefined });

const lease: fc.Arbitrary<Lease> = fc
  .record({
    ip4: v4,
    length4: fc.integer({ min: 1, max: 31 }),
    ip6: optional(v6),
    publicIp: optional(v4),
    publicIpv6: optional(v6),
    backendData: fc.constantFrom("", '{"VNI":1}'),
    node: fc.constantFrom("", "node-1"),
  })
  .map(({ ip4: ip, length4, ip6: other, publicIp, publicIpv6, backendData, node }) => {
    const subnets = { v4: cidr(ip, length4), v6: other && cidr(other, 64) };
    const attrs = { publicIp, publicIpv6, backendType: "vxlan", backendData, backendV6Data: "" };
    return { key: formatSubnetKey(subnets), subnets, attrs, node };
  });

describe("a lease on the wire", () => {
  it("comes back as it was sent", () => {
    fc.assert(
      fc.property(lease, (sent) => {
        assert.deepEqual(leaseFromWire(leaseToWire(sent)), { kind: "lease", lease: sent });
      }),
    );
  });

  it("is refused with its key and field named when malformed", () => {
    const good = {
      key: "10.5.1.0-24",
      publicIp: "10.0.0.1",
      publicIpv6: "",
      backendType: "vxlan",
      backendData: "",
      backendV6Data: "",
      node: "a",
    };
    const cases: readonly [Partial<typeof good>, RegExp][] = [
      [{ key: "10.5.1.0" }, /lease "10\.5\.1\.0": key/],
      [{ key: "10.5.1.7-24" }, /canonical/],
      [{ publicIp: "10.0.0.256" }, /public_ip is/],
      [{ publicIp: "fd00::1" }, /public_ip is/],
      [{ publicIpv6: "10.0.0.1" }, /public_ipv6 is/],
    ];
    for (const [change, expected] of cases) {
      const decoded = leaseFromWire({ ...good, ...change });
      assert.match(decoded.kind === "malformed" ? decoded.reason : "", expected);
    }
  });
});
