/**
 * --ip-blackhole-route: packets for containers of ours that do not exist die here instead of
 * leaving by the default route. Behind every other route of the subnet by its metric: flannel's
 * has none, and then shadows the bridge's own connected route when the bridge comes later
 * (measured: `ip route get` of a local container says "Invalid argument").
 */
import { type Lease, subnetOf } from "../../common/lease/lease.ts";
import type { Family } from "../../common/net/ip.ts";
import type { KernelObject } from "./kernel-object.ts";
import { RTPROT_TWILL } from "./route-protocol.ts";

const LAST_METRIC = 2 ** 32 - 1;
const FAMILIES: readonly Family[] = [4, 6];

export function blackholeRoutes(own: Lease): KernelObject[] {
  return FAMILIES.flatMap((family): KernelObject[] => {
    const destination = subnetOf(own.subnets, family);
    if (destination === undefined) return [];
    return [
      {
        kind: "route",
        object: {
          destination,
          gateway: undefined,
          device: undefined,
          onlink: false,
          scope: "global",
          type: "blackhole",
          metric: LAST_METRIC,
          protocol: RTPROT_TWILL,
        },
      },
    ];
  });
}
