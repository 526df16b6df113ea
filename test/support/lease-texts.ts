/** Lease attributes, keys and records in the forms tests need them, short to write. */

import type { LeaseAttrs, Subnets } from "../../common/lease/lease.ts";
import { encodeLeaseValue } from "../../common/lease/lease-json.ts";
import { parseSubnetKey } from "../../common/lease/subnet-key.ts";
import { parseIp } from "../../common/net/ip.ts";
import { encodeNodeRecord, type NodeRecord } from "../../controller/lease/node-record.ts";

/** What a vxlan node with this public address advertises. */
export function vxlanAttrs(publicIp: string, mac = "aa:bb:cc:00:00:01"): LeaseAttrs {
  return {
    publicIp: parseIp(publicIp),
    publicIpv6: undefined,
    backendType: "vxlan",
    backendData: `{"VNI":1,"VtepMAC":"${mac}"}`,
    backendV6Data: "",
  };
}

export function leaseValue(publicIp: string, mac?: string): string {
  return encodeLeaseValue(vxlanAttrs(publicIp, mac));
}

export function subnetsOf(key: string): Subnets {
  const subnets = parseSubnetKey(key);
  if (subnets === undefined) throw new Error(`${key} is no subnet key`);
  return subnets;
}

export function nodeRecord(
  name: string,
  subnet: string,
  publicIp: string,
  more: Partial<NodeRecord> = {},
): NodeRecord {
  const when = "2024-01-01T00:00:00.000Z";
  const attrs = vxlanAttrs(publicIp);
  const times = { firstSeen: when, lastRegistered: when, released: "", drained: "" };
  return { name, subnet, attrs, ...times, ...more };
}

export function recordValue(
  name: string,
  subnet: string,
  publicIp: string,
  more: Partial<NodeRecord> = {},
): string {
  return encodeNodeRecord(nodeRecord(name, subnet, publicIp, more));
}
