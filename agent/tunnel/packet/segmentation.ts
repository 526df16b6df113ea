/**
 * Cuts a super-segment (a TCP or UDP packet of up to 64 KiB the kernel left whole because the
 * TUN offers segmentation offload) into packets of the size the sender meant. Only headers are
 * written: the payload stays where it was read, and is sent from there.
 *
 * The result is what the kernel's own segmentation makes: consecutive IP ids, sequence numbers
 * advanced, PSH and FIN only on the last segment, CWR only on the first (RFC 3168 6.1.2), every
 * checksum complete, because a flannel peer hands the packet to its kernel as it is.
 */
import { addSums, complement, pseudoHeaderSum, sumBytes } from "./checksum.ts";
import {
  ipv4HeaderLength,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  protocolOf,
  writeIpv4Checksum,
} from "./ipv4.ts";

const TCP_FLAGS = 13;
const FIN_OR_PSH = 0x09;
const CWR = 0x80;
export const TCP_HEADER_BYTES = 20;
export const UDP_HEADER_BYTES = 8;

export interface SuperSegment {
  /** Offset of the IP header. */
  readonly ip: number;
  readonly ipHeaderLength: number;
  /** IP and transport header together. */
  readonly headerLength: number;
  readonly payloadLength: number;
  readonly segmentSize: number;
  readonly count: number;
}

/** Reads the super-segment of `length` bytes at `ip`; undefined when it is none. */
export function readSuperSegment(
  view: DataView,
  ip: number,
  length: number,
  segmentSize: number,
): SuperSegment | undefined {
  const ipHeaderLength = ipv4HeaderLength(view, ip);
  const headerLength = ipHeaderLength + transportHeaderLength(view, ip, length);
  const payloadLength = length - headerLength;
  if (headerLength === ipHeaderLength || payloadLength <= 0 || segmentSize === 0) return undefined;
  const count = Math.ceil(payloadLength / segmentSize);
  return { ip, ipHeaderLength, headerLength, payloadLength, segmentSize, count };
}

/** Payload bytes of segment `index`; its payload begins at ip + headerLength + index * segmentSize. */
export function segmentPayloadLength(whole: SuperSegment, index: number): number {
  return Math.min(whole.segmentSize, whole.payloadLength - index * whole.segmentSize);
}

/** Writes the headers of segment `index` at `out`, whole.headerLength bytes. */
export function writeSegmentHeader(
  view: DataView,
  whole: SuperSegment,
  index: number,
  out: number,
): void {
  const { ip, ipHeaderLength, headerLength, segmentSize } = whole;
  for (let at = 0; at < headerLength; at += 4) view.setUint32(out + at, view.getUint32(ip + at));
  const payloadLength = segmentPayloadLength(whole, index);
  const transport = out + ipHeaderLength;
  const transportLength = headerLength - ipHeaderLength + payloadLength;
  view.setUint16(out + 2, ipHeaderLength + transportLength);
  view.setUint16(out + 4, view.getUint16(ip + 4) + index);
  writeIpv4Checksum(view, out);

  const isTcp = protocolOf(view, ip) === PROTOCOL_TCP;
  const checksumAt = transport + (isTcp ? 16 : 6);
  if (isTcp) patchTcp(view, transport, whole, index);
  else view.setUint16(transport + 4, transportLength);
  view.setUint16(checksumAt, 0);
  const payload = ip + headerLength + index * segmentSize;
  const sum = addSums(
    pseudoHeaderSum(view, out, transportLength),
    sumBytes(view, transport, headerLength - ipHeaderLength),
    sumBytes(view, payload, payloadLength),
  );
  view.setUint16(checksumAt, transmitted(complement(sum), isTcp));
}

/**
 * Sums what the kernel left open: `start` and `offset` as the virtio header says, and the field
 * holds the pseudo header's sum already.
 */
export function completeChecksum(
  view: DataView,
  packet: { readonly ip: number; readonly length: number },
  start: number,
  offset: number,
): boolean {
  if (start + offset + 2 > packet.length) return false;
  const checksum = complement(sumBytes(view, packet.ip + start, packet.length - start));
  const isTcp = protocolOf(view, packet.ip) === PROTOCOL_TCP;
  view.setUint16(packet.ip + start + offset, transmitted(checksum, isTcp));
  return true;
}

/** TCP or UDP header length of the packet, 0 when it has none. */
export function transportHeaderLength(view: DataView, ip: number, length: number): number {
  const ipHeaderLength = ipv4HeaderLength(view, ip);
  const room = length - ipHeaderLength;
  if (protocolOf(view, ip) === PROTOCOL_UDP) return room >= UDP_HEADER_BYTES ? UDP_HEADER_BYTES : 0;
  if (protocolOf(view, ip) !== PROTOCOL_TCP || room < TCP_HEADER_BYTES) return 0;
  const stated = (view.getUint8(ip + ipHeaderLength + 12) >>> 4) * 4;
  return stated >= TCP_HEADER_BYTES && stated <= room ? stated : 0;
}

function patchTcp(view: DataView, tcp: number, whole: SuperSegment, index: number): void {
  view.setUint32(tcp + 4, view.getUint32(tcp + 4) + index * whole.segmentSize);
  const isLast = index === whole.count - 1;
  const cleared = (isLast ? 0 : FIN_OR_PSH) | (index === 0 ? 0 : CWR);
  view.setUint8(tcp + TCP_FLAGS, view.getUint8(tcp + TCP_FLAGS) & ~cleared);
}

/** A UDP checksum of zero means "none" and is sent as all ones (RFC 768). */
function transmitted(checksum: number, isTcp: boolean): number {
  return checksum === 0 && !isTcp ? 0xffff : checksum;
}
