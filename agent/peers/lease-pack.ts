/**
 * A lease as one string: a table of 20,000 leases is then 20,000 flat strings instead of
 * some 200,000 small objects, and comparing two leases is comparing two strings.
 */

import { TwillError } from "../../common/errors.ts";
import type { Lease } from "../../common/lease/lease.ts";
import { parseSubnetKey } from "../../common/lease/subnet-key.ts";
import { formatIp, parseIp } from "../../common/net/ip.ts";

/** Everything but the key. Equal leases have equal texts. */
export type PackedLease = string;

export function packLease(lease: Lease): PackedLease {
  const { publicIp, publicIpv6, backendType, backendData, backendV6Data } = lease.attrs;
  return JSON.stringify([
    publicIp === undefined ? "" : formatIp(publicIp),
    publicIpv6 === undefined ? "" : formatIp(publicIpv6),
    backendType,
    backendData,
    backendV6Data,
    lease.node,
  ]);
}

export function unpackLease(key: string, packed: PackedLease): Lease {
  const fields: unknown = JSON.parse(packed);
  const subnets = parseSubnetKey(key);
  if (subnets === undefined || !Array.isArray(fields)) {
    throw new TwillError("BUG", `lease ${key} was packed wrongly`);
  }
  const text = (index: number): string => String(fields[index]);
  return {
    key,
    subnets,
    attrs: {
      publicIp: parseIp(text(0)),
      publicIpv6: parseIp(text(1)),
      backendType: text(2),
      backendData: text(3),
      backendV6Data: text(4),
    },
    node: text(5),
  };
}
