/**
 * Which address of an interface is its underlay address (contract 5): global before
 * link-local, permanent before dynamic, lasting before temporary, never a deprecated one. Pure.
 */
import { type Cidr, containsIp, parseCidr } from "../../common/net/cidr.ts";
import { type Family, type Ip, isUnspecified } from "../../common/net/ip.ts";
import type { AddressState } from "../kernel/kernel.ts";

const ranges = (...texts: readonly string[]): readonly Cidr[] =>
  texts.flatMap((text) => parseCidr(text) ?? []);

const LINK_LOCAL = ranges("169.254.0.0/16", "fe80::/10");
/** Loopback, multicast and the IPv4 broadcast address. */
const NEVER_UNDERLAY = ranges(
  "127.0.0.0/8",
  "::1/128",
  "224.0.0.0/4",
  "ff00::/8",
  "255.255.255.255/32",
);

export function addressesOf(
  addresses: readonly AddressState[],
  device: string,
): readonly AddressState[] {
  return addresses.filter((address) => address.device === device);
}

/** The best address of the family, the kernel's order breaking ties; undefined: none is usable. */
export function preferredAddress(
  addresses: readonly AddressState[],
  family: Family,
): Ip | undefined {
  const usable = addresses.filter(
    (address) => address.ip.family === family && !address.deprecated && isUnderlay(address.ip),
  );
  // Array.prototype.sort is stable: equals keep the kernel's order.
  return [...usable].sort((a, b) => rank(a) - rank(b))[0]?.ip;
}

function rank(address: AddressState): number {
  const linkLocal = isLinkLocal(address.ip) ? 4 : 0;
  const dynamic = address.permanent ? 0 : 2;
  return linkLocal + dynamic + (address.temporary ? 1 : 0);
}

/** By the address itself, as Go's net package classes it; rtnetlink's scope is only a hint. */
function isUnderlay(ip: Ip): boolean {
  return !isUnspecified(ip) && !NEVER_UNDERLAY.some((range) => containsIp(range, ip));
}

function isLinkLocal(ip: Ip): boolean {
  return LINK_LOCAL.some((range) => containsIp(range, ip));
}
