/** How full the network is, per family, from one status. Pure. */
import {
  type NetworkConfig,
  rangeOf,
  type SubnetRange,
} from "../../common/config/network-config.ts";
import { parseNetworkConfig } from "../../common/config/parse-network-config.ts";
import { TwillError } from "../../common/errors.ts";
import { type Lease, subnetOf } from "../../common/lease/lease.ts";
import { leaseFromWire } from "../../common/lease/lease-wire.ts";
import { type Cidr, cidr, formatCidr, lastAddress } from "../../common/net/cidr.ts";
import { type Family, formatIp } from "../../common/net/ip.ts";
import type { Status } from "../../proto/gen/twill/v1/operator.ts";

export interface HeldLease {
  readonly lease: Lease;
  /** Without an etcd lease: kept until somebody deletes it. */
  readonly isReservation: boolean;
}

/** The table and the config that it is measured by. */
export interface Ipam {
  readonly config: NetworkConfig;
  readonly leases: readonly HeldLease[];
  readonly malformed: readonly string[];
}

/** How many subnets of a family's range are taken. */
export interface RangeUse {
  readonly family: Family;
  readonly network: string;
  readonly first: string;
  readonly last: string;
  readonly subnets: number;
  readonly used: number;
  readonly reserved: number;
  readonly free: number;
}

export const FAMILIES: readonly Family[] = [4, 6];

export function readIpam(status: Status): Ipam {
  const parsed = parseNetworkConfig(status.config?.json ?? "");
  if (parsed.kind === "invalid") {
    throw new TwillError(
      "CONFIG_MISSING",
      `${status.controller} has no valid network config yet: put one at <etcd-prefix>/config`,
    );
  }
  const leases: HeldLease[] = [];
  const malformed: string[] = status.warnings
    .filter(({ code }) => code === "KEY_MALFORMED")
    .map(({ message }) => message);
  for (const { lease: wire, etcdLease } of status.leases) {
    if (wire === undefined) continue;
    const decoded = leaseFromWire(wire);
    if (decoded.kind === "malformed") malformed.push(decoded.reason);
    else leases.push({ lease: decoded.lease, isReservation: etcdLease === "" });
  }
  return { config: parsed.config, leases, malformed };
}

export function measure(ipam: Ipam): RangeUse[] {
  return FAMILIES.flatMap((family) => {
    const range = rangeOf(ipam.config, family);
    return range === undefined ? [] : [measureRange(ipam.leases, range, family)];
  });
}

function measureRange(leases: readonly HeldLease[], range: SubnetRange, family: Family): RangeUse {
  const count = (held: readonly HeldLease[]): bigint =>
    held.reduce((sum, { lease }) => sum + blocksIn(range, subnetOf(lease.subnets, family)), 0n);
  const subnets = blockOf(range, range.subnetMax.value) + 1n;
  const used = count(leases);
  const free = subnets > used ? subnets - used : 0n;
  return {
    family,
    network: formatCidr(range.network),
    first: formatIp(range.subnetMin),
    last: formatIp(range.subnetMax),
    subnets: Number(subnets),
    used: Number(used),
    reserved: Number(count(leases.filter((held) => held.isReservation))),
    free: Number(free),
  };
}

/** A subnet of another length takes, or spoils, every block that it touches. */
function blocksIn(range: SubnetRange, subnet: Cidr | undefined): bigint {
  if (subnet === undefined) return 0n;
  const end = lastAddress(cidr(range.subnetMax, range.subnetLen));
  let [first, last] = [subnet.ip.value, lastAddress(subnet)];
  if (first < range.subnetMin.value) first = range.subnetMin.value;
  if (last > end) last = end;
  return first > last ? 0n : blockOf(range, last) - blockOf(range, first) + 1n;
}

function blockOf(range: SubnetRange, address: bigint): bigint {
  const size = 1n << BigInt((range.network.ip.family === 4 ? 32 : 128) - range.subnetLen);
  return (address - range.subnetMin.value) / size;
}
