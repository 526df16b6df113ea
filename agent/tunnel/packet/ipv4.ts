/** The few fields of an IPv4 header the tunnel looks at (RFC 791); nothing beyond is interpreted. */
import { complement, sumBytes, updateChecksum } from "./checksum.ts";

export const IPV4_HEADER_BYTES = 20;
/** Largest value of the total-length field. */
export const IPV4_MAX_BYTES = 65_535;
export const PROTOCOL_ICMP = 1;
export const PROTOCOL_TCP = 6;
export const PROTOCOL_UDP = 17;
export const DONT_FRAGMENT = 0x4000;
const FRAGMENT_OFFSET = 0x1fff;
const FRAGMENT_OFFSET_OR_MORE = 0x3fff;

/**
 * Length of the IPv4 packet at `ip` by its own header, of which `available` bytes are there;
 * 0 when it is not a whole IPv4 packet.
 */
export function ipv4Length(view: DataView, ip: number, available: number): number {
  if (available < IPV4_HEADER_BYTES) return 0;
  const headerLength = ipv4HeaderLength(view, ip);
  const length = view.getUint16(ip + 2);
  const fits = headerLength >= IPV4_HEADER_BYTES && headerLength <= length && length <= available;
  return isIpv4(view, ip) && fits ? length : 0;
}

export function isIpv4(view: DataView, ip: number): boolean {
  return view.getUint8(ip) >>> 4 === 4;
}

export function ipv4HeaderLength(view: DataView, ip: number): number {
  return (view.getUint8(ip) & 0x0f) * 4;
}

export function sourceOf(view: DataView, ip: number): number {
  return view.getUint32(ip + 12);
}

export function destinationOf(view: DataView, ip: number): number {
  return view.getUint32(ip + 16);
}

export function protocolOf(view: DataView, ip: number): number {
  return view.getUint8(ip + 9);
}

/** True for any part of a fragmented packet. */
export function isFragment(view: DataView, ip: number): boolean {
  return (view.getUint16(ip + 6) & FRAGMENT_OFFSET_OR_MORE) !== 0;
}

/** True for a fragment without the transport header. */
export function isLaterFragment(view: DataView, ip: number): boolean {
  return (view.getUint16(ip + 6) & FRAGMENT_OFFSET) !== 0;
}

/**
 * Takes one hop off and corrects the checksum by the difference, so that a wrong checksum
 * stays wrong. False: the packet has no hop left and must be dropped (contract 3.3).
 */
export function decrementTtl(view: DataView, ip: number): boolean {
  const word = view.getUint16(ip + 8);
  if (word < 0x0200) return false;
  view.setUint16(ip + 8, word - 0x0100);
  view.setUint16(ip + 10, updateChecksum(view.getUint16(ip + 10), word, word - 0x0100));
  return true;
}

/** Computes the header checksum anew; only for headers the tunnel has made or has verified. */
export function writeIpv4Checksum(view: DataView, ip: number): void {
  view.setUint16(ip + 10, 0);
  view.setUint16(ip + 10, complement(sumBytes(view, ip, ipv4HeaderLength(view, ip))));
}

/** A right header sums to all ones with its checksum included. */
export function isIpv4ChecksumRight(view: DataView, ip: number): boolean {
  return sumBytes(view, ip, ipv4HeaderLength(view, ip)) === 0xffff;
}
