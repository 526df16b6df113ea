/**
 * virtio_net_hdr: the ten bytes before every packet of a TUN with IFF_VNET_HDR (virtio 1.2
 * section 5.1.6, linux/virtio_net.h). They say "this packet is a super-segment, to be cut every
 * so many bytes" and "this checksum still has to be summed", in host byte order; the
 * supported hosts are little-endian.
 */

export const VIRTIO_HEADER_BYTES = 10;

const NEEDS_CHECKSUM = 1;
const GSO_TCP4 = 1;
const GSO_UDP4 = 5;
const GSO_ECN = 0x80;

export type SuperSegmentKind = "none" | "tcp4" | "udp4" | "other";

export interface VirtioHeader {
  readonly kind: SuperSegmentKind;
  /** Payload bytes of each segment. */
  readonly segmentSize: number;
  /** The checksum field holds only the pseudo header's sum. */
  readonly needsChecksum: boolean;
  /** Where the summed bytes begin, and where in them the checksum field lies. */
  readonly checksumStart: number;
  readonly checksumOffset: number;
}

export function readVirtioHeader(view: DataView, at: number): VirtioHeader {
  return {
    kind: kindOf(view.getUint8(at + 1)),
    needsChecksum: (view.getUint8(at) & NEEDS_CHECKSUM) !== 0,
    segmentSize: view.getUint16(at + 4, true),
    checksumStart: view.getUint16(at + 6, true),
    checksumOffset: view.getUint16(at + 8, true),
  };
}

/** The header of a packet that is whole as it stands: the kernel verifies its checksums. */
export function writePlainVirtioHeader(view: DataView, at: number): void {
  for (let byte = 0; byte < VIRTIO_HEADER_BYTES; byte += 1) view.setUint8(at + byte, 0);
}

export interface SuperSegmentHeader {
  readonly kind: "tcp4" | "udp4";
  /** IP and transport header together. */
  readonly headerLength: number;
  readonly ipHeaderLength: number;
  readonly segmentSize: number;
}

/** The header of a super-segment whose checksum field holds the pseudo header's sum. */
export function writeSuperVirtioHeader(view: DataView, at: number, is: SuperSegmentHeader): void {
  view.setUint8(at, NEEDS_CHECKSUM);
  view.setUint8(at + 1, is.kind === "tcp4" ? GSO_TCP4 : GSO_UDP4);
  view.setUint16(at + 2, is.headerLength, true);
  view.setUint16(at + 4, is.segmentSize, true);
  view.setUint16(at + 6, is.ipHeaderLength, true);
  view.setUint16(at + 8, is.kind === "tcp4" ? 16 : 6, true);
}

function kindOf(gsoType: number): SuperSegmentKind {
  switch (gsoType & ~GSO_ECN) {
    case 0:
      return "none";
    case GSO_TCP4:
      return "tcp4";
    case GSO_UDP4:
      return "udp4";
    default:
      return "other";
  }
}
