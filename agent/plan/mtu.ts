/**
 * How large a packet containers may send. Every encapsulation takes its share of what the
 * underlay carries; the figures are header sizes, not tunables.
 */
import type { Family } from "../../common/net/ip.ts";

/** Inner Ethernet 14 + VXLAN 8 + UDP 8 + outer IP 20 or 40 (the kernel's VXLAN_HEADROOM). */
export function vxlanOverheadBytes(family: Family): 50 | 70 {
  return family === 4 ? 50 : 70;
}

/** Outer IPv4 header. */
export const IPIP_OVERHEAD_BYTES = 20;

/** Outer IPv4 20 + UDP 8. */
export const UDP_OVERHEAD_BYTES = 28;

/** Outer IP 20 or 40 + UDP 8 + WireGuard 32; flannel counts IPv6 for both, and so do we. */
export const WIREGUARD_OVERHEAD_BYTES = 80;

/** RFC 8200 section 5: below this the kernel takes IPv6 off a device. */
export const IPV6_MIN_MTU_BYTES = 1280;

/** RFC 791: what every IPv4 link must carry. */
export const IPV4_MIN_MTU_BYTES = 68;

export function minimumMtuBytes(family: Family): number {
  return family === 4 ? IPV4_MIN_MTU_BYTES : IPV6_MIN_MTU_BYTES;
}

/**
 * MTU of a tunnel device. `configuredBytes` is the config's `MTU`, which means the underlay
 * (contract 3.1); a value above the interface's is cut, because the kernel would cut it too
 * and subnet.env must say what is true.
 */
export function tunnelMtuBytes(
  interfaceBytes: number,
  configuredBytes: number | undefined,
  overheadBytes: number,
): number {
  return Math.min(configuredBytes ?? interfaceBytes, interfaceBytes) - overheadBytes;
}
