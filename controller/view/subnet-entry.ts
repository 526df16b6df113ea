/** One key below subnets/ as flannel's decoders read it: a lease, or why not (contract 1.1, 1.2). */

import type { LeaseAttrs, Subnets } from "../../common/lease/lease.ts";
import { decodeLeaseValue } from "../../common/lease/lease-json.ts";
import { formatSubnetKey, parseSubnetKey } from "../../common/lease/subnet-key.ts";
import type { Entry } from "../store/store.ts";

export type SubnetEntry =
  | { readonly kind: "lease"; readonly subnets: Subnets; readonly attrs: LeaseAttrs }
  | {
      readonly kind: "malformed";
      readonly reason: string;
      /** Set when at least the key is a subnet. */
      readonly subnets: Subnets | undefined;
    };

export function parseSubnetEntry(leaseKey: string, entry: Entry): SubnetEntry {
  const subnets = parseSubnetKey(leaseKey);
  if (subnets === undefined) {
    return { kind: "malformed", reason: "key is not a subnet", subnets: undefined };
  }
  // Two spellings of one subnet would be two leases of it.
  const canonical = formatSubnetKey(subnets);
  if (canonical !== leaseKey) {
    return { kind: "malformed", reason: `key is written otherwise: ${canonical}`, subnets };
  }
  const value = decodeLeaseValue(entry.value);
  if (value.kind === "malformed") {
    return { kind: "malformed", reason: value.reason, subnets };
  }
  return { kind: "lease", subnets, attrs: value.attrs };
}
