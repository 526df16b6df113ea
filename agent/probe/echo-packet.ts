/** ICMP and ICMPv6 echo messages as bytes (RFC 792, RFC 4443). Pure. */
import type { Family } from "../../common/net/ip.ts";

const HEADER_BYTES = 8;
const TYPES = { 4: { request: 8, reply: 0 }, 6: { request: 128, reply: 129 } } as const;
/** What a packet has besides the echo's payload: the IP header and the echo's own. */
export const ECHO_OVERHEAD = { 4: 20 + HEADER_BYTES, 6: 40 + HEADER_BYTES } as const;

/** A request; the kernel writes ICMPv6's checksum, we ICMP's. */
export function encodeEcho(family: Family, id: number, seq: number, packetBytes: number): Buffer {
  const payload = Math.max(0, packetBytes - ECHO_OVERHEAD[family]);
  const bytes = Buffer.alloc(HEADER_BYTES + payload, 0x74);
  bytes.writeUInt32BE((TYPES[family].request << 24) >>> 0, 0);
  bytes.writeUInt16BE(id, 4);
  bytes.writeUInt16BE(seq, 6);
  if (family === 4) bytes.writeUInt16BE(checksum(bytes), 2);
  return bytes;
}

/** The sequence number of a reply to our request; undefined: something else. */
export function readEchoReply(family: Family, datagram: Buffer, id: number): number | undefined {
  // A raw IPv4 socket is given the IP header too (raw(7)), an IPv6 one is not.
  const start = family === 4 ? ((datagram[0] ?? 0) & 0x0f) * 4 : 0;
  if (datagram.length < start + HEADER_BYTES) return undefined;
  if (datagram[start] !== TYPES[family].reply) return undefined;
  if (datagram.readUInt16BE(start + 4) !== id) return undefined;
  return datagram.readUInt16BE(start + 6);
}

/** RFC 1071. */
function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) {
    sum += at + 1 < bytes.length ? bytes.readUInt16BE(at) : bytes.readUInt8(at) << 8;
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
