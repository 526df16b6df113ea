/**
 * ICMP "network unreachable" for packets to nobody's subnet, so that senders learn it at once
 * instead of timing out. Who gets none follows RFC 1812 section 4.3.2.7; the form follows
 * contract 3.3: the offender's IP header and eight bytes.
 */
import { complement, sumBytes } from "./checksum.ts";
import {
  destinationOf,
  IPV4_HEADER_BYTES,
  ipv4HeaderLength,
  isLaterFragment,
  PROTOCOL_ICMP,
  protocolOf,
  sourceOf,
  writeIpv4Checksum,
} from "./ipv4.ts";

const ICMP_HEADER_BYTES = 8;
const QUOTED_PAYLOAD_BYTES = 8;
const DESTINATION_UNREACHABLE = 3;
const TTL = 64;
/** Types that report an error: an error about an error could go on for ever (RFC 1122 3.2.2). */
const ICMP_ERRORS: ReadonlySet<number> = new Set([3, 4, 5, 11, 12]);
/** Longest message: own headers, the longest IP header, eight bytes. */
export const NET_UNREACHABLE_MAX_BYTES =
  IPV4_HEADER_BYTES + ICMP_HEADER_BYTES + 60 + QUOTED_PAYLOAD_BYTES;

/** Whether the sender of the packet at `ip` may be told. */
export function deservesUnreachable(view: DataView, ip: number, length: number): boolean {
  if (isLaterFragment(view, ip) || !isHost(sourceOf(view, ip))) return false;
  if (destinationOf(view, ip) >>> 28 === 0xe || destinationOf(view, ip) === 0xffffffff)
    return false;
  if (protocolOf(view, ip) !== PROTOCOL_ICMP) return true;
  const icmp = ip + ipv4HeaderLength(view, ip);
  return icmp < ip + length && !ICMP_ERRORS.has(view.getUint8(icmp));
}

/** Writes the message about the packet of `length` bytes at `ip` to `out`; returns its length. */
export function writeNetUnreachable(
  view: DataView,
  offender: { readonly ip: number; readonly length: number },
  out: number,
  from: number,
): number {
  const { ip } = offender;
  const quoted = Math.min(offender.length, ipv4HeaderLength(view, ip) + QUOTED_PAYLOAD_BYTES);
  const icmp = out + IPV4_HEADER_BYTES;
  const quote = icmp + ICMP_HEADER_BYTES;
  const length = quote + quoted - out;
  view.setUint32(out, 0x45000000 | length);
  view.setUint32(out + 4, 0);
  view.setUint32(out + 8, (TTL << 24) | (PROTOCOL_ICMP << 16));
  view.setUint32(out + 12, from);
  view.setUint32(out + 16, sourceOf(view, ip));
  writeIpv4Checksum(view, out);
  for (let at = 0; at < quoted; at += 1) view.setUint8(quote + at, view.getUint8(ip + at));
  view.setUint32(icmp, DESTINATION_UNREACHABLE << 24);
  view.setUint32(icmp + 4, 0);
  view.setUint16(icmp + 2, complement(sumBytes(view, icmp, ICMP_HEADER_BYTES + quoted)));
  return length;
}

/** One machine's address: not 0/8, 127/8, multicast or above (class E, broadcast). */
function isHost(address: number): boolean {
  const first = address >>> 24;
  return first !== 0 && first !== 127 && first < 224;
}
