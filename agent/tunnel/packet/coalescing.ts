/**
 * Joins consecutive packets of one flow into a super-segment for the kernel, which then walks
 * its receive path once instead of up to 45 times. The rules are those of the kernel's own GRO:
 * what is joined can be cut again into exactly the packets that came (RFC 9293 and 768
 * receivers notice nothing). A checksum is verified here before it is given up for the
 * super-segment's, so a damaged packet is never joined and reaches the receiver as it is.
 */
import { addSums, pseudoHeaderSum, sumBytes } from "./checksum.ts";
import {
  DONT_FRAGMENT,
  IPV4_HEADER_BYTES,
  IPV4_MAX_BYTES,
  ipv4HeaderLength,
  isFragment,
  isIpv4ChecksumRight,
  PROTOCOL_TCP,
  protocolOf,
  writeIpv4Checksum,
} from "./ipv4.ts";
import { transportHeaderLength } from "./segmentation.ts";
import { writePlainVirtioHeader, writeSuperVirtioHeader } from "./virtio-header.ts";

const ACK = 0x10;
const PSH = 0x08;
/** Of the 16 bits with the data offset. */
const RESERVED_AND_FLAGS = 0x0fff;
/** UDP_MAX_SEGMENTS of kernels before 6.6. */
const MAX_UDP_SEGMENTS = 64;
const NOT_JOINABLE = 0;

/** What may be joined: UDP needs a kernel that takes UDP super-segments (6.2). */
export interface CoalescingOptions {
  readonly tcp: boolean;
  readonly udp: boolean;
}

/** The super-segment under way: a first packet, and what follows it. */
export class Run {
  readonly #options: CoalescingOptions;
  readonly #view: DataView;
  #ip = 0;
  #headerLength = NOT_JOINABLE;
  #segmentSize = 0;
  #length = 0;
  #count = 0;
  #isOpen = false;
  #isVerified = false;
  #isPushed = false;
  #lastId = 0;

  constructor(view: DataView, options: CoalescingOptions) {
    this.#view = view;
    this.#options = options;
  }

  /** Packets in the run. */
  get count(): number {
    return this.#count;
  }

  /** Length of the IP and transport headers that every packet but the first leaves behind. */
  get headerLength(): number {
    return this.#headerLength;
  }

  clear(): void {
    this.#count = 0;
    this.#isOpen = false;
  }

  /** Begins a run with the packet of `length` bytes at `ip`, joinable or not. */
  begin(ip: number, length: number): void {
    this.#ip = ip;
    this.#length = length;
    this.#count = 1;
    this.#headerLength = joinableHeaderLength(this.#view, ip, length, this.#options);
    this.#segmentSize = length - this.#headerLength;
    this.#isOpen = this.#headerLength !== NOT_JOINABLE && !this.#hasPush(ip);
    this.#isVerified = false;
    this.#isPushed = false;
    this.#lastId = this.#view.getUint16(ip + 4);
  }

  /** Joins the packet when it continues the run; the caller then appends its payload. */
  tryAppend(ip: number, length: number): boolean {
    if (!this.#isOpen || !this.#continues(ip, length) || !this.#isIntact(ip, length)) return false;
    this.#isPushed = this.#hasPush(ip);
    this.#lastId = this.#view.getUint16(ip + 4);
    this.#length += length - this.#headerLength;
    this.#count += 1;
    const isShort = length - this.#headerLength < this.#segmentSize;
    if (isShort || this.#isPushed) this.#isOpen = false;
    return true;
  }

  /** Writes the virtio header, and turns the first packet's headers into the super-segment's. */
  finish(virtioAt: number): void {
    if (this.#count === 1) {
      writePlainVirtioHeader(this.#view, virtioAt);
      return;
    }
    const view = this.#view;
    const transport = this.#ip + IPV4_HEADER_BYTES;
    const isTcp = protocolOf(view, this.#ip) === PROTOCOL_TCP;
    const transportLength = this.#length - IPV4_HEADER_BYTES;
    view.setUint16(this.#ip + 2, this.#length);
    writeIpv4Checksum(view, this.#ip);
    if (this.#isPushed) view.setUint8(transport + 13, view.getUint8(transport + 13) | PSH);
    if (!isTcp) view.setUint16(transport + 4, transportLength);
    const pseudo = pseudoHeaderSum(view, this.#ip, transportLength);
    view.setUint16(transport + (isTcp ? 16 : 6), pseudo);
    writeSuperVirtioHeader(view, virtioAt, {
      kind: isTcp ? "tcp4" : "udp4",
      headerLength: this.#headerLength,
      ipHeaderLength: IPV4_HEADER_BYTES,
      segmentSize: this.#segmentSize,
    });
  }

  #continues(ip: number, length: number): boolean {
    const payload = length - this.#headerLength;
    return (
      payload > 0 &&
      payload <= this.#segmentSize &&
      this.#length + payload <= IPV4_MAX_BYTES &&
      sameIpHeader(this.#view, this.#ip, ip, this.#lastId) &&
      joinableHeaderLength(this.#view, ip, length, this.#options) === this.#headerLength &&
      (protocolOf(this.#view, ip) === PROTOCOL_TCP
        ? this.#continuesTcp(ip)
        : this.#count < MAX_UDP_SEGMENTS && sameWord(this.#view, this.#ip + 20, ip + 20))
    );
  }

  #continuesTcp(ip: number): boolean {
    const view = this.#view;
    const first = this.#ip + IPV4_HEADER_BYTES;
    const next = ip + IPV4_HEADER_BYTES;
    const sequence = view.getUint32(first + 4) + (this.#length - this.#headerLength);
    if (view.getUint32(next + 4) !== sequence >>> 0) return false;
    // Ports, acknowledgement, window; flags may differ in PSH, checked on the way in.
    if (!sameWord(view, first, next) || !sameWord(view, first + 8, next + 8)) return false;
    if (view.getUint16(first + 14) !== view.getUint16(next + 14)) return false;
    if (view.getUint16(first + 18) !== view.getUint16(next + 18)) return false;
    for (let at = 40; at < this.#headerLength; at += 4) {
      if (!sameWord(view, this.#ip + at, ip + at)) return false;
    }
    return true;
  }

  /** The first packet's checksums are looked at when a second one wants to join. */
  #isIntact(ip: number, length: number): boolean {
    if (!this.#isVerified) {
      this.#isVerified = true;
      this.#isOpen = areChecksumsRight(this.#view, this.#ip, this.#length);
    }
    return this.#isOpen && areChecksumsRight(this.#view, ip, length);
  }

  #hasPush(ip: number): boolean {
    const isTcp = protocolOf(this.#view, ip) === PROTOCOL_TCP;
    return isTcp && (this.#view.getUint8(ip + IPV4_HEADER_BYTES + 13) & PSH) !== 0;
  }
}

/** Header length of a packet that may be part of a run, else 0. */
function joinableHeaderLength(
  view: DataView,
  ip: number,
  length: number,
  options: CoalescingOptions,
): number {
  const isTcp = protocolOf(view, ip) === PROTOCOL_TCP;
  if (ipv4HeaderLength(view, ip) !== IPV4_HEADER_BYTES || isFragment(view, ip)) return NOT_JOINABLE;
  const transportLength = transportHeaderLength(view, ip, length);
  const headerLength = IPV4_HEADER_BYTES + transportLength;
  if (transportLength === 0 || length <= headerLength) return NOT_JOINABLE;
  const transport = ip + IPV4_HEADER_BYTES;
  const isPlain = isTcp
    ? options.tcp && (view.getUint16(transport + 12) & RESERVED_AND_FLAGS & ~PSH) === ACK
    : options.udp &&
      view.getUint16(transport + 6) !== 0 &&
      view.getUint16(transport + 4) === length - IPV4_HEADER_BYTES;
  return isPlain ? headerLength : NOT_JOINABLE;
}

/** Same TOS, DF, TTL, protocol and addresses; ids consecutive unless DF makes them void (RFC 6864). */
function sameIpHeader(view: DataView, first: number, next: number, lastId: number): boolean {
  const flags = view.getUint16(first + 6);
  const nextId = (lastId + 1) & 0xffff;
  return (
    view.getUint16(first) === view.getUint16(next) &&
    flags === view.getUint16(next + 6) &&
    view.getUint16(first + 8) === view.getUint16(next + 8) &&
    sameWord(view, first + 12, next + 12) &&
    sameWord(view, first + 16, next + 16) &&
    ((flags & DONT_FRAGMENT) !== 0 || view.getUint16(next + 4) === nextId)
  );
}

function areChecksumsRight(view: DataView, ip: number, length: number): boolean {
  const transportLength = length - IPV4_HEADER_BYTES;
  const sum = addSums(
    pseudoHeaderSum(view, ip, transportLength),
    sumBytes(view, ip + IPV4_HEADER_BYTES, transportLength),
  );
  return sum === 0xffff && isIpv4ChecksumRight(view, ip);
}

function sameWord(view: DataView, a: number, b: number): boolean {
  return view.getUint32(a) === view.getUint32(b);
}
