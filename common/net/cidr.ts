/** Networks: an address and a prefix length, masked on construction, both families alike. */
import { addressBits, type Family, formatIp, type Ip, maxAddress, parseIp } from "./ip.ts";

/** A network; `ip.value` never has host bits set. */
export interface Cidr {
  readonly ip: Ip;
  readonly prefix: number;
}

/** Mask of `prefix` leading ones. */
export function mask(family: Family, prefix: number): bigint {
  const bits = addressBits(family);
  return maxAddress(family) ^ ((1n << BigInt(bits - prefix)) - 1n);
}

/** The network of `prefix` bits that holds `ip`. */
export function cidr(ip: Ip, prefix: number): Cidr {
  return { ip: { family: ip.family, value: ip.value & mask(ip.family, prefix) }, prefix };
}

/** Parses "10.1.2.3/16" and masks it as flannel does ("10.1.0.0/16"); undefined when malformed. */
export function parseCidr(text: string): Cidr | undefined {
  const parsed = parseInterfaceAddress(text);
  return parsed === undefined ? undefined : cidr(parsed.ip, parsed.prefix);
}

/** Parses "10.1.2.3/16" keeping the host bits (an interface address). */
export function parseInterfaceAddress(text: string): { ip: Ip; prefix: number } | undefined {
  const slash = text.indexOf("/");
  if (slash < 0) return undefined;
  const ip = parseIp(text.slice(0, slash));
  const length = text.slice(slash + 1);
  if (ip === undefined || !/^(0|[1-9][0-9]{0,2})$/.test(length)) return undefined;
  const prefix = Number(length);
  return prefix <= addressBits(ip.family) ? { ip, prefix } : undefined;
}

export function formatCidr(network: Cidr): string {
  return `${formatIp(network.ip)}/${network.prefix}`;
}

/** Number of addresses. */
export function cidrSize(network: Cidr): bigint {
  return 1n << BigInt(addressBits(network.ip.family) - network.prefix);
}

export function lastAddress(network: Cidr): bigint {
  return network.ip.value + cidrSize(network) - 1n;
}

export function containsIp(network: Cidr, ip: Ip): boolean {
  return (
    ip.family === network.ip.family &&
    (ip.value & mask(ip.family, network.prefix)) === network.ip.value
  );
}

/** True when every address of `inner` is in `outer`. */
export function containsCidr(outer: Cidr, inner: Cidr): boolean {
  return inner.prefix >= outer.prefix && containsIp(outer, inner.ip);
}

export function overlaps(a: Cidr, b: Cidr): boolean {
  return containsCidr(a, b) || containsCidr(b, a);
}

export function sameCidr(a: Cidr, b: Cidr): boolean {
  return a.prefix === b.prefix && a.ip.family === b.ip.family && a.ip.value === b.ip.value;
}

/** Network address + 1: the address subnet.env and bridges use (contract 2.5). */
export function gatewayAddress(network: Cidr): Ip {
  return { family: network.ip.family, value: network.ip.value + 1n };
}
