/**
 * A lease on the stream and in the agent's cache: proto message to domain value and back.
 * Decoding checks everything, so that what is behind it never meets a malformed lease.
 */
import type { Lease as WireLease } from "../../proto/gen/twill/v1/fabric.ts";
import { formatIp, type Ip, parseIp4, parseIp6 } from "../net/ip.ts";
import type { Lease } from "./lease.ts";
import { formatSubnetKey, parseSubnetKey } from "./subnet-key.ts";

export function leaseToWire(lease: Lease): WireLease {
  const { publicIp, publicIpv6, backendType, backendData, backendV6Data } = lease.attrs;
  return {
    key: lease.key,
    publicIp: publicIp === undefined ? "" : formatIp(publicIp),
    publicIpv6: publicIpv6 === undefined ? "" : formatIp(publicIpv6),
    backendType,
    backendData,
    backendV6Data,
    node: lease.node,
  };
}

export type DecodedLease =
  | { readonly kind: "lease"; readonly lease: Lease }
  | { readonly kind: "malformed"; readonly reason: string };

/** The reason names the key and the field. */
export function leaseFromWire(wire: WireLease): DecodedLease {
  const subnets = parseSubnetKey(wire.key);
  if (subnets === undefined || formatSubnetKey(subnets) !== wire.key) {
    return malformed(wire, "key is not a canonical subnet key");
  }
  const publicIp = optionalIp(wire.publicIp, parseIp4);
  if (publicIp === "malformed") return malformed(wire, "public_ip is not an IPv4 address");
  const publicIpv6 = optionalIp(wire.publicIpv6, parseIp6);
  if (publicIpv6 === "malformed") return malformed(wire, "public_ipv6 is not an IPv6 address");
  const { key, backendType, backendData, backendV6Data, node } = wire;
  const attrs = { publicIp, publicIpv6, backendType, backendData, backendV6Data };
  return { kind: "lease", lease: { key, subnets, attrs, node } };
}

function malformed(wire: WireLease, reason: string): DecodedLease {
  return { kind: "malformed", reason: `lease ${JSON.stringify(wire.key)}: ${reason}` };
}

function optionalIp(
  text: string,
  parse: (text: string) => Ip | undefined,
): Ip | undefined | "malformed" {
  return text === "" ? undefined : (parse(text) ?? "malformed");
}
