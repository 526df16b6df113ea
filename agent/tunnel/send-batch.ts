/**
 * Datagrams collected for one sendmmsg. Consecutive ones to the same peer and of one size (the
 * last may be shorter) become one message with UDP_SEGMENT: the kernel walks its send path once
 * and cuts at the very end, or the network card does. On the wire it is one inner packet per
 * datagram either way.
 */
import { type Arena, IOVEC_BYTES, MMSGHDR_BYTES, SOCKADDR_BYTES, writeSockaddr } from "./arena.ts";

const CONTROL_BYTES = 24;
/** CMSG_LEN of a 16-bit value. */
const CONTROL_LENGTH = 18;
const SOL_UDP = 17;
const UDP_SEGMENT = 103;
/** UDP_MAX_SEGMENTS of kernels before 6.6. */
const MAX_SEGMENTS = 64;
/** Largest UDP payload over IPv4. */
const MAX_PAYLOAD_BYTES = 65_507;
/** Pieces of one datagram: headers, payload. */
const MAX_PIECES = 2;

export class SendBatch {
  readonly #arena: Arena;
  readonly #capacity: { readonly messages: number; readonly iovecs: number };
  readonly #headers: number;
  readonly #names: number;
  readonly #controls: number;
  readonly #iovecs: number;
  #isSegmenting: boolean;
  #count = 0;
  #iovecCount = 0;
  // The last message: what decides whether the next datagram joins it.
  #remote = 0;
  #port = 0;
  #segmentSize = 0;
  #segments = 0;
  #length = 0;
  #isOpen = false;

  constructor(
    arena: Arena,
    capacity: { readonly messages: number; readonly iovecs: number },
    isSegmenting: boolean,
  ) {
    this.#arena = arena;
    this.#capacity = capacity;
    this.#isSegmenting = isSegmenting;
    // One message more than may be collected: the one `isolate` makes.
    this.#headers = arena.take((capacity.messages + 1) * MMSGHDR_BYTES);
    this.#names = arena.take((capacity.messages + 1) * SOCKADDR_BYTES);
    this.#controls = arena.take((capacity.messages + 1) * CONTROL_BYTES);
    this.#iovecs = arena.take(capacity.iovecs * IOVEC_BYTES);
    for (let index = 0; index <= capacity.messages; index += 1) this.#layOut(index);
  }

  /** Messages collected. */
  get count(): number {
    return this.#count;
  }

  /** No room for another datagram of two pieces. */
  get isFull(): boolean {
    const { messages, iovecs } = this.#capacity;
    return this.#count === messages || this.#iovecCount + MAX_PIECES > iovecs;
  }

  /** From now on every datagram is a message of its own. */
  stopSegmenting(): void {
    this.#isSegmenting = false;
  }

  clear(): void {
    this.#count = 0;
    this.#iovecCount = 0;
    this.#isOpen = false;
  }

  /** Begins a datagram of `length` bytes; its one or two pieces follow. */
  datagram(remote: number, port: number, length: number): void {
    if (remote === this.#remote && port === this.#port && this.#mayJoin(length)) {
      this.#join(length);
      return;
    }
    this.#remote = remote;
    this.#port = port;
    this.#segmentSize = length;
    this.#segments = 1;
    this.#length = length;
    this.#isOpen = this.#isSegmenting;
    this.#begin(this.#count, remote, port);
    this.#count += 1;
  }

  /** Appends `length` bytes at `offset` of the arena to the datagram begun last. */
  piece(offset: number, length: number): void {
    const { view } = this.#arena;
    const iovec = this.#iovecs + this.#iovecCount * IOVEC_BYTES;
    this.#arena.writePointer(iovec, offset);
    view.setUint32(iovec + 8, length, true);
    const header = this.#header(this.#count - 1);
    view.setUint32(header + 24, view.getUint32(header + 24, true) + 1, true);
    this.#iovecCount += 1;
  }

  /** Address of message `index` for sendmmsg. */
  address(index: number): number {
    return this.#arena.address + this.#header(index);
  }

  /** Datagrams in message `index`. */
  segmentsOf(index: number): number {
    const size = this.#segmentSizeOf(index);
    return size === 0 ? 1 : Math.ceil(this.#lengthOf(index) / size);
  }

  /**
   * Makes each datagram of message `index` a plain message of its own, one after the other in
   * one place, and hands its address to `send`: for kernels and paths that refuse to segment.
   */
  isolate(index: number, send: (address: number) => void): void {
    const { view } = this.#arena;
    const spare = this.#capacity.messages;
    const size = this.#segmentSizeOf(index) || Number.POSITIVE_INFINITY;
    const name = this.#names + index * SOCKADDR_BYTES;
    const end = this.#iovecsEnd(index);
    for (let iovec = this.#firstIovec(index); iovec < end; ) {
      this.#begin(spare, view.getUint32(name + 4), view.getUint16(name + 2));
      this.#arena.writePointer(this.#header(spare) + 16, iovec);
      let pieces = 0;
      let length = 0;
      while (iovec < end && (pieces === 0 || length < size)) {
        length += view.getUint32(iovec + 8, true);
        iovec += IOVEC_BYTES;
        pieces += 1;
      }
      view.setUint32(this.#header(spare) + 24, pieces, true);
      send(this.address(spare));
    }
  }

  #mayJoin(length: number): boolean {
    return (
      this.#isOpen &&
      length <= this.#segmentSize &&
      this.#segments < MAX_SEGMENTS &&
      this.#length + length <= MAX_PAYLOAD_BYTES
    );
  }

  #join(length: number): void {
    const { view } = this.#arena;
    view.setUint32(this.#header(this.#count - 1) + 40, CONTROL_BYTES, true);
    const control = this.#controls + (this.#count - 1) * CONTROL_BYTES;
    view.setUint16(control + 16, this.#segmentSize, true);
    this.#segments += 1;
    this.#length += length;
    if (length < this.#segmentSize) this.#isOpen = false;
  }

  /** What of a message never changes: its pointers, and the control message's head. */
  #layOut(index: number): void {
    const { view } = this.#arena;
    const header = this.#header(index);
    const control = this.#controls + index * CONTROL_BYTES;
    this.#arena.writePointer(header, this.#names + index * SOCKADDR_BYTES);
    view.setUint32(header + 8, SOCKADDR_BYTES, true);
    this.#arena.writePointer(header + 32, control);
    view.setUint32(control, CONTROL_LENGTH, true);
    view.setInt32(control + 8, SOL_UDP, true);
    view.setInt32(control + 12, UDP_SEGMENT, true);
  }

  #begin(index: number, remote: number, port: number): void {
    const { view } = this.#arena;
    const header = this.#header(index);
    writeSockaddr(view, this.#names + index * SOCKADDR_BYTES, remote, port);
    this.#arena.writePointer(header + 16, this.#iovecs + this.#iovecCount * IOVEC_BYTES);
    view.setUint32(header + 24, 0, true);
    view.setUint32(header + 40, 0, true);
  }

  #header(index: number): number {
    return this.#headers + index * MMSGHDR_BYTES;
  }

  #segmentSizeOf(index: number): number {
    const isSegmented = this.#arena.view.getUint32(this.#header(index) + 40, true) !== 0;
    const control = this.#controls + index * CONTROL_BYTES;
    return isSegmented ? this.#arena.view.getUint16(control + 16, true) : 0;
  }

  #firstIovec(index: number): number {
    return this.#arena.readPointer(this.#header(index) + 16);
  }

  #iovecsEnd(index: number): number {
    const count = this.#arena.view.getUint32(this.#header(index) + 24, true);
    return this.#firstIovec(index) + count * IOVEC_BYTES;
  }

  #lengthOf(index: number): number {
    let length = 0;
    for (let at = this.#firstIovec(index); at < this.#iovecsEnd(index); at += IOVEC_BYTES) {
      length += this.#arena.view.getUint32(at + 8, true);
    }
    return length;
  }
}
