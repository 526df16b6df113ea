/** ipam show counts, ipam check finds each of the faults that are put in, and nothing else. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { measure, readIpam } from "../../../../cli/cluster/ipam.ts";
import { checkIpam } from "../../../../cli/cluster/ipam-check.ts";
import { FIXES } from "../../../../cli/warning-fixes.ts";
import type { LeaseStatus, Status } from "../../../../proto/gen/twill/v1/operator.ts";

const CONFIG =
  '{"Network":"10.244.0.0/16","SubnetMin":"10.244.1.0","SubnetMax":"10.244.20.0","EnableIPv6":true,"IPv6Network":"fd00::/48","Backend":{"Type":"vxlan"}}';

interface Change {
  key?: string;
  publicIp?: string;
  publicIpv6?: string;
  backendType?: string;
  mac?: string;
  node?: string;
  etcdLease?: string;
}

function lease(n: number, change: Change = {}): LeaseStatus {
  const { etcdLease = "1f", mac = `02:00:00:00:00:0${n}`, ...more } = change;
  return {
    lease: {
      key: `10.244.${n}.0-24&fd00:0:0:${n}::-64`,
      publicIp: `10.99.0.${n}`,
      publicIpv6: `fd99::${n}`,
      backendType: "vxlan",
      backendData: `{"VNI":1,"VtepMAC":"${mac}"}`,
      backendV6Data: "",
      node: `n${n}`,
      ...more,
    },
    etcdLease,
    revision: n,
  };
}

function status(leases: LeaseStatus[], json = CONFIG): Status {
  return {
    instance: "i",
    controller: "c1:7474",
    leader: "c1:7474",
    revision: 9,
    digest: "",
    config: { revision: 1, json, transition: undefined },
    leases,
    nodes: [],
    store: "connected",
    warnings: [],
    malformedKeys: 0,
    controllers: [],
  };
}

/** Codes found in three good leases and the ones given. */
function codes(...leases: LeaseStatus[]): string[] {
  const good = [lease(1), lease(2), lease(3)];
  return checkIpam(readIpam(status([...good, ...leases]))).map(({ code }) => code);
}

const FAULTS: readonly [string, LeaseStatus[], string[]][] = [
  ["a key that is no subnet", [lease(4, { key: "nonsense" })], ["KEY_MALFORMED"]],
  [
    "an IPv4 overlap",
    [lease(4, { key: "10.244.3.128-25&fd00:0:0:4::-64" })],
    ["SUBNET_LENGTH", "SUBNET_OVERLAP"],
  ],
  ["an IPv6 overlap", [lease(4, { key: "10.244.4.0-24&fd00:0:0:3::-64" })], ["SUBNET_OVERLAP"]],
  ["IPv4 outside", [lease(4, { key: "10.9.4.0-24&fd00:0:0:4::-64" })], ["SUBNET_OUTSIDE"]],
  ["IPv6 outside", [lease(4, { key: "10.244.4.0-24&fd01:0:0:4::-64" })], ["SUBNET_OUTSIDE"]],
  [
    "above SubnetMax",
    [lease(4, { key: "10.244.21.0-24&fd00:0:0:4::-64" })],
    ["SUBNET_UNALLOCATABLE"],
  ],
  ["another length", [lease(4, { key: "10.244.4.0-25&fd00:0:0:4::-64" })], ["SUBNET_LENGTH"]],
  ["no IPv6 half", [lease(4, { key: "10.244.4.0-24" })], ["FAMILY_MISSING"]],
  ["one public IPv4 twice", [lease(4, { publicIp: "10.99.0.1" })], ["PUBLIC_IP_DUPLICATE"]],
  ["one public IPv6 twice", [lease(4, { publicIpv6: "fd99::1" })], ["PUBLIC_IP_DUPLICATE"]],
  ["a public IP in the network", [lease(4, { publicIp: "10.244.9.9" })], ["PUBLIC_IP_INSIDE"]],
  ["one VTEP MAC twice", [lease(4, { mac: "02:00:00:00:00:01" })], ["VTEP_MAC_DUPLICATE"]],
  ["one node twice", [lease(4, { node: "n1" })], ["NODE_DUPLICATE"]],
  ["another backend", [lease(4, { backendType: "host-gw" })], ["BACKEND_OTHER"]],
];

describe("ipam check", () => {
  it("finds nothing in good leases, reservations included", () => {
    assert.deepEqual(codes(lease(4, { etcdLease: "", node: "" })), []);
  });

  for (const [name, leases, expected] of FAULTS) {
    it(`finds ${name}`, () => assert.deepEqual(codes(...leases), expected));
  }

  it("finds a range that is nearly full", () => {
    const json = CONFIG.replace("10.244.20.0", "10.244.3.0");
    const found = checkIpam(readIpam(status([lease(1), lease(2), lease(3)], json)));
    assert.deepEqual(found, [
      { code: "RANGE_NEARLY_FULL", message: "3 of 3 subnets of 10.244.0.0/16 are taken" },
    ]);
  });

  it("names a family that many leases lack once, and not every lease", () => {
    const old = [1, 2, 3, 4, 5, 6, 7].map((id) => lease(id, { key: `10.244.${id}.0-24` }));
    const found = checkIpam(readIpam(status([...old, lease(8)])));
    assert.deepEqual(found, [
      {
        code: "FAMILY_MISSING",
        message:
          "7 of 8 leases have no IPv6 subnet: 10.244.1.0-24, 10.244.2.0-24, 10.244.3.0-24, " +
          "10.244.4.0-24, 10.244.5.0-24 and 2 more",
      },
    ]);
  });

  it("has a fix for every code", () => {
    const known = [...FAULTS.flatMap(([, , expected]) => expected), "RANGE_NEARLY_FULL"];
    assert.deepEqual(
      known.filter((code) => FIXES[code] === undefined),
      [],
    );
  });
});

describe("ipam show", () => {
  it("counts what is taken, reserved and free, per family", () => {
    const wide = lease(8, { key: "10.244.8.0-23&fd00:0:0:8::-64", etcdLease: "" });
    const [v4, v6] = measure(readIpam(status([lease(1), lease(2), wide])));
    assert.deepEqual(v4, {
      family: 4,
      network: "10.244.0.0/16",
      first: "10.244.1.0",
      last: "10.244.20.0",
      subnets: 20,
      used: 4,
      reserved: 2,
      free: 16,
    });
    assert.equal(v6?.used, 3);
  });

  it("counts of a lease that reaches over the end only what is in the range", () => {
    const over = lease(4, { key: "10.244.20.0-22&fd00:0:0:4::-64" });
    assert.equal(measure(readIpam(status([over])))[0]?.used, 1);
  });

  it("says so when there is no config yet", () => {
    assert.throws(() => readIpam(status([], "")), /no valid network config/);
  });
});
