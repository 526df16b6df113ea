/** Who would have to leave its subnet for another under a config; pure. */
import type { NetworkConfig } from "../../common/config/network-config.ts";
import { mayStay } from "../lease/allocate.ts";
import type { LeaseTable } from "../view/lease-table.ts";

export function movedNodes(
  table: LeaseTable,
  config: NetworkConfig,
): readonly { readonly node: string; readonly key: string }[] {
  return [...table.rows.values()]
    .filter(({ lease }) => lease.node !== "" && !mayStay(lease.subnets, config))
    .map(({ lease }) => ({ node: lease.node, key: lease.key }))
    .toSorted((a, b) => (a.key < b.key ? -1 : 1));
}
