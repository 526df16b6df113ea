/**
 * IPv4, TCP and UDP packets made and checked the long way: byte by byte, copying, every
 * checksum from scratch. What the tunnel's fast functions are compared with.
 */

export interface TcpFields {
  readonly source: number;
  readonly destination: number;
  readonly ports: readonly [from: number, to: number];
  readonly sequence: number;
  readonly acknowledgement: number;
  readonly flags: number;
  readonly window: number;
  /** Whole words. */
  readonly options: Uint8Array;
  readonly payload: Uint8Array;
  readonly id: number;
  readonly dontFragment: boolean;
  readonly ttl: number;
  readonly tos: number;
}

export const TCP_DEFAULTS: TcpFields = {
  source: 0x0a010102,
  destination: 0x0a010202,
  ports: [40_000, 5201],
  sequence: 1_000_000,
  acknowledgement: 77,
  flags: 0x10,
  window: 500,
  options: new Uint8Array(12).fill(1),
  payload: new Uint8Array(0),
  id: 1,
  dontFragment: true,
  ttl: 64,
  tos: 0,
};

export function tcpPacket(given: Partial<TcpFields>): Uint8Array {
  const is = { ...TCP_DEFAULTS, ...given };
  const header = Buffer.alloc(20);
  header.writeUInt16BE(is.ports[0], 0);
  header.writeUInt16BE(is.ports[1], 2);
  header.writeUInt32BE(is.sequence >>> 0, 4);
  header.writeUInt32BE(is.acknowledgement >>> 0, 8);
  header.writeUInt8(((20 + is.options.length) / 4) << 4, 12);
  header.writeUInt8(is.flags, 13);
  header.writeUInt16BE(is.window, 14);
  return withChecksums(ipPacket(6, Buffer.concat([header, is.options, is.payload]), is));
}

export function udpPacket(given: Partial<TcpFields>): Uint8Array {
  const is = { ...TCP_DEFAULTS, ...given };
  const header = Buffer.alloc(8);
  header.writeUInt16BE(is.ports[0], 0);
  header.writeUInt16BE(is.ports[1], 2);
  header.writeUInt16BE(8 + is.payload.length, 4);
  return withChecksums(ipPacket(17, Buffer.concat([header, is.payload]), is));
}

export function icmpPacket(type: number, given: Partial<TcpFields> = {}): Uint8Array {
  const is = { ...TCP_DEFAULTS, ...given };
  const message = Buffer.alloc(8 + is.payload.length);
  message.writeUInt8(type, 0);
  message.set(is.payload, 8);
  message.writeUInt16BE(naiveChecksum(message), 2);
  return withChecksums(ipPacket(1, message, is));
}

export function ipPacket(
  protocol: number,
  body: Uint8Array,
  given: Partial<TcpFields> = {},
): Buffer {
  const is = { ...TCP_DEFAULTS, ...given };
  const header = Buffer.alloc(20);
  header.writeUInt8(0x45, 0);
  header.writeUInt8(is.tos, 1);
  header.writeUInt16BE(20 + body.length, 2);
  header.writeUInt16BE(is.id & 0xffff, 4);
  header.writeUInt16BE(is.dontFragment ? 0x4000 : 0, 6);
  header.writeUInt8(is.ttl, 8);
  header.writeUInt8(protocol, 9);
  header.writeUInt32BE(is.source >>> 0, 12);
  header.writeUInt32BE(is.destination >>> 0, 16);
  return Buffer.concat([header, body]);
}

/** The packet with its IP, TCP and UDP checksums computed anew. */
export function withChecksums(packet: Uint8Array): Uint8Array {
  const copy = Buffer.from(packet);
  const headerLength = (copy.readUInt8(0) & 15) * 4;
  copy.writeUInt16BE(0, 10);
  copy.writeUInt16BE(naiveChecksum(copy.subarray(0, headerLength)), 10);
  const field = { 6: 16, 17: 6 }[copy.readUInt8(9)];
  if (field === undefined) return copy;
  copy.writeUInt16BE(0, headerLength + field);
  const checksum = naiveChecksum(withPseudoHeader(copy));
  copy.writeUInt16BE(checksum === 0 && field === 6 ? 0xffff : checksum, headerLength + field);
  return copy;
}

/** A UDP packet whose checksum comes out as zero, which stands for "none" and is sent as ones. */
export function udpPacketSummingToZero(given: Partial<TcpFields> = {}): Uint8Array {
  for (let word = 0; word <= 0xffff; word += 1) {
    const packet = Buffer.from(
      udpPacket({ ...given, payload: Uint8Array.of(1, 2, word >> 8, word & 255) }),
    );
    if (packet.readUInt16BE(26) === 0xffff) return packet;
  }
  throw new Error("one of 65,536 words makes the sum come out");
}

/** Whether the IP header's and the TCP or UDP checksum hold. */
export function hasRightChecksums(packet: Uint8Array): boolean {
  const headerLength = ((packet[0] ?? 0) & 15) * 4;
  return (
    naiveChecksum(packet.subarray(0, headerLength)) === 0 &&
    (packet[9] === 1
      ? naiveChecksum(packet.subarray(headerLength)) === 0
      : naiveChecksum(withPseudoHeader(packet)) === 0)
  );
}

/** RFC 1071 as it reads: 16-bit words, carries added at the end. */
export function naiveChecksum(bytes: Uint8Array): number {
  let sum = 0n;
  for (const [index, byte] of bytes.entries()) sum += BigInt(byte) << (index % 2 === 0 ? 8n : 0n);
  while (sum > 0xffffn) sum = (sum & 0xffffn) + (sum >> 16n);
  return Number(~sum & 0xffffn);
}

/**
 * Cuts a TCP or UDP super-segment the long way: header copied, payload sliced, every field set
 * as the kernel's segmentation sets it.
 */
export function naiveSegments(packet: Uint8Array, segmentSize: number): Uint8Array[] {
  const ipHeader = ((packet[0] ?? 0) & 15) * 4;
  const isTcp = packet[9] === 6;
  const headerLength = ipHeader + (isTcp ? ((packet[ipHeader + 12] ?? 0) >>> 4) * 4 : 8);
  const payload = packet.subarray(headerLength);
  const segments: Uint8Array[] = [];
  for (let at = 0; at < payload.length; at += segmentSize) {
    const part = payload.subarray(at, at + segmentSize);
    const segment = Buffer.concat([packet.subarray(0, headerLength), part]);
    segment.writeUInt16BE(segment.length, 2);
    segment.writeUInt16BE((segment.readUInt16BE(4) + segments.length) & 0xffff, 4);
    if (isTcp) {
      segment.writeUInt32BE((segment.readUInt32BE(ipHeader + 4) + at) >>> 0, ipHeader + 4);
      let flags = segment.readUInt8(ipHeader + 13);
      if (at + segmentSize < payload.length) flags &= ~0x09;
      if (at > 0) flags &= ~0x80;
      segment.writeUInt8(flags, ipHeader + 13);
    } else {
      segment.writeUInt16BE(8 + part.length, ipHeader + 4);
    }
    segments.push(withChecksums(segment));
  }
  return segments;
}

function withPseudoHeader(packet: Uint8Array): Uint8Array {
  const bytes = Buffer.from(packet);
  const headerLength = (bytes.readUInt8(0) & 15) * 4;
  const pseudo = Buffer.alloc(12);
  bytes.copy(pseudo, 0, 12, 20);
  pseudo.writeUInt8(bytes.readUInt8(9), 9);
  pseudo.writeUInt16BE(bytes.length - headerLength, 10);
  return Buffer.concat([pseudo, bytes.subarray(headerLength)]);
}
