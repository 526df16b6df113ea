/**
 * Memory the kernel reads and writes: one block per loop whose address is known, so that
 * structures with pointers (iovec, msghdr) are laid out by hand in it, once, and a system call
 * costs no conversion. Layouts are those of 64-bit little-endian Linux, the hosts supported.
 */
import { TwillError } from "../../common/errors.ts";
import { addressOf } from "./libc.ts";

/** Sizes of struct mmsghdr, iovec and sockaddr_in. */
export const MMSGHDR_BYTES = 64;
export const IOVEC_BYTES = 16;
export const SOCKADDR_BYTES = 16;

const AF_INET = 2;

/** Writes a sockaddr_in. */
export function writeSockaddr(view: DataView, at: number, address: number, port: number): void {
  view.setUint16(at, AF_INET, true);
  view.setUint16(at + 2, port);
  view.setUint32(at + 4, address);
}

export class Arena {
  readonly view: DataView;
  /** Address of byte 0; a number, as user space ends at 2^47 (or 2^57, never reached unasked). */
  readonly address: number;
  readonly #bytes: Uint8Array;
  #used = 0;

  constructor(size: number) {
    const buffer = new ArrayBuffer(size);
    this.#bytes = new Uint8Array(buffer);
    this.view = new DataView(buffer);
    this.address = addressOf(this.#bytes);
  }

  /** Takes `size` bytes, aligned to eight (malloc aligns the block itself to sixteen). */
  take(size: number): number {
    const at = this.#used;
    this.#used += Math.ceil(size / 8) * 8;
    if (this.#used > this.#bytes.length) throw new TwillError("BUG", "the arena is too small");
    return at;
  }

  /** Writes a pointer to `target` (an offset in this arena) at `at`. */
  writePointer(at: number, target: number): void {
    const address = this.address + target;
    this.view.setUint32(at, address >>> 0, true);
    this.view.setUint32(at + 4, Math.floor(address / 2 ** 32), true);
  }

  /** The offset in this arena that the pointer at `at` points to. */
  readPointer(at: number): number {
    const high = this.view.getUint32(at + 4, true);
    return high * 2 ** 32 + this.view.getUint32(at, true) - this.address;
  }
}
