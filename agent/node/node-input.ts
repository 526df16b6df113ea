/** Small questions about a node's config, lease and peers, answered without effects. */
import type { NetworkConfig } from "../../common/config/network-config.ts";
import { rangeOf } from "../../common/config/network-config.ts";
import { type Lease, subnetOf } from "../../common/lease/lease.ts";
import { containsCidr } from "../../common/net/cidr.ts";
import type { Family, Ip } from "../../common/net/ip.ts";
import type { SubnetEnv, SubnetEnvFamily } from "../host/subnet-env.ts";
import { familiesOf } from "../plan/peer-context.ts";
import type { ReconcileReport } from "../reconcile/node-reconciler.ts";
import { ownTrouble } from "./node-status.ts";

/** True when the lease has a subnet inside the network for every family that the network has. */
export function fitsNetwork(lease: Lease, config: NetworkConfig): boolean {
  return familiesOf(config).every((family) => {
    const [range, subnet] = [rangeOf(config, family), subnetOf(lease.subnets, family)];
    return range !== undefined && subnet !== undefined && containsCidr(range.network, subnet);
  });
}

/** True for backends that route straight to peers on the same link (contract 3.1, 3.4). */
export function wantsDirect({ backend }: NetworkConfig): boolean {
  return (backend.type === "vxlan" || backend.type === "ipip") && backend.directRouting;
}

export function* peerAddresses(leases: Iterable<Lease>): Generator<Ip> {
  for (const { attrs } of leases) {
    if (attrs.publicIp !== undefined) yield attrs.publicIp;
    if (attrs.publicIpv6 !== undefined) yield attrs.publicIpv6;
  }
}

/** What containers are told; undefined while the node's own part does not work. */
export function subnetEnvOf(
  config: NetworkConfig,
  own: Lease,
  report: ReconcileReport,
  ipMasq: boolean,
): SubnetEnv | undefined {
  if (report.mtuBytes === undefined || ownTrouble(report) !== undefined) return undefined;
  const pair = (family: Family): SubnetEnvFamily | undefined => {
    const [range, subnet] = [rangeOf(config, family), subnetOf(own.subnets, family)];
    return range && subnet && { network: range.network, subnet };
  };
  return { v4: pair(4), v6: pair(6), mtuBytes: report.mtuBytes, ipMasq };
}
