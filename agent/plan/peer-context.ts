/** What readPeer must know, from what a planner knows. */
import { type NetworkConfig, rangeOf } from "../../common/config/network-config.ts";
import type { Lease, Subnets } from "../../common/lease/lease.ts";
import type { Family } from "../../common/net/ip.ts";
import type { PeerContext } from "../peers/peer.ts";
import type { PlannerInput } from "./backend-planner.ts";

/** Families that the network config asks for. */
export function familiesOf(config: NetworkConfig): readonly Family[] {
  const both: readonly Family[] = [4, 6];
  return both.filter((family) => rangeOf(config, family) !== undefined);
}

export function networksOf(config: NetworkConfig): Subnets {
  return { v4: config.v4?.network, v6: config.v6?.network };
}

export function peerContext(
  { config, host }: PlannerInput,
  own: Lease,
  backendType: string,
): PeerContext {
  return {
    ownKey: own.key,
    ownSubnets: own.subnets,
    ownPublicIp: host.publicIp,
    ownPublicIpv6: host.publicIpv6,
    networks: networksOf(config),
    backendType,
  };
}
