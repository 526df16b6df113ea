/** Leases by the ten thousand, for tests and benchmarks of a large fleet. */
import type { NetworkConfig } from "../../common/config/network-config.ts";
import type { Lease } from "../../common/lease/lease.ts";
import { ip, lease, network, networkConfig, numberedMac, vtepData } from "./leases.ts";

/** 65,536 subnets of 24 bits in 10.0.0.0/8; this machine is 10.99.0.1 on the underlay 10.99.0.0/16. */
export function crowdConfig(): NetworkConfig {
  const v4 = {
    network: network("10.0.0.0/8"),
    subnetLen: 24,
    subnetMin: ip("10.0.0.0"),
    subnetMax: ip("10.255.255.0"),
  };
  return { ...networkConfig(), v4 };
}

/** Below 25,344 it meets neither the underlay's subnet nor another lease. */
export function crowdLease(n: number): Lease {
  return lease({
    key: `10.${n >> 8}.${n & 255}.0-24`,
    ip: `172.${16 + (n >> 16)}.${(n >> 8) & 255}.${n & 255}`,
    data: vtepData(numberedMac(n + 1)),
    node: `node-${n}`,
  });
}

export function crowdLeases(from: number, count: number): readonly Lease[] {
  return Array.from({ length: count }, (_, index) => crowdLease(from + index));
}
