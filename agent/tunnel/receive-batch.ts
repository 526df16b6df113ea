/**
 * Room for one recvmmsg: each message has 64 KiB, because with UDP_GRO a message may be many
 * datagrams of one peer joined by the kernel, and then says their size. Pages that are never
 * filled are never backed by memory.
 */
import { type Arena, IOVEC_BYTES, MMSGHDR_BYTES, SOCKADDR_BYTES } from "./arena.ts";

const CONTROL_BYTES = 24;
const MESSAGE_BYTES = 65_536;
const SOL_UDP = 17;
const UDP_GRO = 104;
/** MSG_TRUNC: the datagram was longer than its room. */
const TRUNCATED = 0x20;

export class ReceiveBatch {
  readonly capacity: number;
  readonly #arena: Arena;
  readonly #headers: number;
  readonly #names: number;
  readonly #controls: number;
  readonly #buffers: number;

  static bytes(capacity: number): number {
    const each = MMSGHDR_BYTES + SOCKADDR_BYTES + CONTROL_BYTES + IOVEC_BYTES + MESSAGE_BYTES;
    return capacity * each;
  }

  constructor(arena: Arena, capacity: number) {
    this.capacity = capacity;
    this.#arena = arena;
    this.#headers = arena.take(capacity * MMSGHDR_BYTES);
    this.#names = arena.take(capacity * SOCKADDR_BYTES);
    this.#controls = arena.take(capacity * CONTROL_BYTES);
    const iovecs = arena.take(capacity * IOVEC_BYTES);
    this.#buffers = arena.take(capacity * MESSAGE_BYTES);
    for (let index = 0; index < capacity; index += 1) {
      const header = this.#headers + index * MMSGHDR_BYTES;
      const iovec = iovecs + index * IOVEC_BYTES;
      arena.writePointer(header, this.#names + index * SOCKADDR_BYTES);
      arena.writePointer(header + 16, iovec);
      arena.view.setUint32(header + 24, 1, true);
      arena.writePointer(header + 32, this.#controls + index * CONTROL_BYTES);
      arena.writePointer(iovec, this.offset(index));
      arena.view.setUint32(iovec + 8, MESSAGE_BYTES, true);
    }
    this.recycle(capacity);
  }

  /** Address for recvmmsg. */
  get address(): number {
    return this.#arena.address + this.#headers;
  }

  /** Restores what recvmmsg overwrote of the first `count` messages. */
  recycle(count: number): void {
    const { view } = this.#arena;
    for (let index = 0; index < count; index += 1) {
      const header = this.#headers + index * MMSGHDR_BYTES;
      view.setUint32(header + 8, SOCKADDR_BYTES, true);
      view.setUint32(header + 40, CONTROL_BYTES, true);
    }
  }

  /** Where message `index` lies in the arena. */
  offset(index: number): number {
    return this.#buffers + index * MESSAGE_BYTES;
  }

  /** Its bytes; 0 when it did not fit. */
  length(index: number): number {
    const header = this.#headers + index * MMSGHDR_BYTES;
    const isCut = (this.#arena.view.getUint32(header + 48, true) & TRUNCATED) !== 0;
    return isCut ? 0 : this.#arena.view.getUint32(header + 56, true);
  }

  /** The sender's IPv4 address. */
  source(index: number): number {
    return this.#arena.view.getUint32(this.#names + index * SOCKADDR_BYTES + 4);
  }

  /** Size of each datagram in the message but the last, which may be shorter. */
  segmentSize(index: number): number {
    const { view } = this.#arena;
    const header = this.#headers + index * MMSGHDR_BYTES;
    const control = this.#controls + index * CONTROL_BYTES;
    const isJoined =
      view.getUint32(header + 40, true) !== 0 &&
      view.getInt32(control + 8, true) === SOL_UDP &&
      view.getInt32(control + 12, true) === UDP_GRO;
    return isJoined ? view.getInt32(control + 16, true) : this.length(index);
  }
}
