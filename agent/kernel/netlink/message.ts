/**
 * Received netlink messages: a cursor that walks the messages of a datagram and a reader of
 * attributes. Nothing is allocated per message, and nothing that comes in is trusted to be well
 * formed.
 */
import type { Ip } from "../../../common/net/ip.ts";
import { type Mac, macFromBytes } from "../../../common/net/mac.ts";
import { NLA_TYPE_MASK } from "./constants.ts";
import {
  ATTRIBUTE_HEADER_BYTES,
  alignToWord,
  HEADER_BYTES,
  HOST_IS_LITTLE_ENDIAN as HOST,
} from "./layout.ts";

/**
 * A cursor over the messages of one received datagram: `load` after a receive into `bytes`,
 * then `next` until it says false. What it shows is only valid until the next receive.
 */
export class Message {
  readonly bytes: Buffer;
  readonly #view: DataView;
  #end = 0;
  #next = 0;
  #limit = 0;
  #body = 0;

  constructor(capacityBytes: number) {
    this.bytes = Buffer.alloc(capacityBytes);
    this.#view = new DataView(this.bytes.buffer, this.bytes.byteOffset, capacityBytes);
  }

  /** Starts a datagram of `length` bytes; one that did not fit is cut. */
  load(length: number): void {
    this.#limit = Math.min(length, this.bytes.length);
    this.#next = 0;
  }

  /** Goes to the next message; false when there is none that is whole. */
  next(): boolean {
    const start = this.#next;
    if (start + HEADER_BYTES > this.#limit) return false;
    const length = this.#view.getUint32(start, HOST);
    if (length < HEADER_BYTES || start + length > this.#limit) return false;
    this.#body = start + HEADER_BYTES;
    this.#end = start + length;
    this.#next = start + alignToWord(length);
    return true;
  }

  get type(): number {
    return this.#view.getUint16(this.#body - 12, HOST);
  }

  get flags(): number {
    return this.#view.getUint16(this.#body - 10, HOST);
  }

  get seq(): number {
    return this.#view.getUint32(this.#body - 8, HOST);
  }

  /** Bytes after the header. */
  get bodyLength(): number {
    return this.#end - this.#body;
  }

  /** Fields of the body at `offset`; the caller has compared bodyLength. */
  u8(offset: number): number {
    return this.#view.getUint8(this.#body + offset);
  }

  u16(offset: number): number {
    return this.#view.getUint16(this.#body + offset, HOST);
  }

  u32(offset: number): number {
    return this.#view.getUint32(this.#body + offset, HOST);
  }

  i32(offset: number): number {
    return this.#view.getInt32(this.#body + offset, HOST);
  }

  /** Reads the attributes that begin at `offset` of the body into `attributes`. */
  attributes(offset: number, attributes: Attributes): Attributes {
    return attributes.scan(this.bytes, this.#view, this.#body + offset, this.#end);
  }
}

/** Attributes above this number are of no interest here. */
const HIGHEST_TYPE = 63;

/** Where each attribute of one message lies; used again and again. Of twins the last counts. */
export class Attributes {
  readonly #at = new Int32Array(HIGHEST_TYPE + 1);
  readonly #length = new Int32Array(HIGHEST_TYPE + 1);
  #bytes: Buffer = Buffer.alloc(0);
  #view: DataView = new DataView(new ArrayBuffer(0));

  /** Notes the attributes between `start` and `end`; stops at the first that is cut off. */
  scan(bytes: Buffer, view: DataView, start: number, end: number): this {
    this.#bytes = bytes;
    this.#view = view;
    this.#at.fill(0);
    let at = start;
    while (at + ATTRIBUTE_HEADER_BYTES <= end) {
      const length = view.getUint16(at, HOST);
      if (length < ATTRIBUTE_HEADER_BYTES || at + length > end) break;
      const type = view.getUint16(at + 2, HOST) & NLA_TYPE_MASK;
      if (type <= HIGHEST_TYPE) {
        this.#at[type] = at + ATTRIBUTE_HEADER_BYTES;
        this.#length[type] = length - ATTRIBUTE_HEADER_BYTES;
      }
      at += alignToWord(length);
    }
    return this;
  }

  has(type: number): boolean {
    return this.#offset(type, 0) !== 0;
  }

  u8(type: number): number | undefined {
    const at = this.#offset(type, 1);
    return at === 0 ? undefined : this.#view.getUint8(at);
  }

  u32(type: number): number | undefined {
    const at = this.#offset(type, 4);
    return at === 0 ? undefined : this.#view.getUint32(at, HOST);
  }

  u16(type: number): number | undefined {
    const at = this.#offset(type, 2);
    return at === 0 ? undefined : this.#view.getUint16(at, HOST);
  }

  /** A copy of the payload. */
  payload(type: number): Buffer | undefined {
    const at = this.#offset(type, 0);
    return at === 0
      ? undefined
      : Buffer.from(this.#bytes.subarray(at, at + (this.#length[type] ?? 0)));
  }

  port(type: number): number | undefined {
    const at = this.#offset(type, 2);
    return at === 0 ? undefined : this.#view.getUint16(at);
  }

  /** Four bytes in network order, as netfilter has them. */
  u32be(type: number): number | undefined {
    const at = this.#offset(type, 4);
    return at === 0 ? undefined : this.#view.getUint32(at);
  }

  text(type: number): string | undefined {
    const at = this.#offset(type, 0);
    if (at === 0) return undefined;
    const end = at + (this.#length[type] ?? 0);
    const zero = this.#bytes.indexOf(0, at);
    return this.#bytes.toString("utf8", at, zero < 0 || zero > end ? end : zero);
  }

  /** The family is told by the length; another length is no address. */
  ip(type: number): Ip | undefined {
    const at = this.#offset(type, 4);
    return at === 0 ? undefined : this.#ipAt(at, this.#length[type] ?? 0);
  }

  /** RTA_VIA: an address behind its own two-byte family. */
  via(type: number): Ip | undefined {
    const at = this.#offset(type, 6);
    return at === 0 ? undefined : this.#ipAt(at + 2, (this.#length[type] ?? 0) - 2);
  }

  mac(type: number): Mac | undefined {
    const at = this.#offset(type, 6);
    if (at === 0 || this.#length[type] !== 6) return undefined;
    return macFromBytes(this.#bytes.subarray(at, at + 6));
  }

  /** Attributes inside an attribute. */
  nested(type: number, into: Attributes): Attributes | undefined {
    const at = this.#offset(type, 0);
    if (at === 0) return undefined;
    return into.scan(this.#bytes, this.#view, at, at + (this.#length[type] ?? 0));
  }

  /** Shows each element of a nest that is a list: all have attributes, whatever their type says. */
  each(type: number, element: Attributes, visit: (element: Attributes) => void): void {
    let at = this.#offset(type, 0);
    if (at === 0) return;
    const end = at + (this.#length[type] ?? 0);
    while (at + ATTRIBUTE_HEADER_BYTES <= end) {
      const length = this.#view.getUint16(at, HOST);
      if (length < ATTRIBUTE_HEADER_BYTES || at + length > end) return;
      visit(element.scan(this.#bytes, this.#view, at + ATTRIBUTE_HEADER_BYTES, at + length));
      at += alignToWord(length);
    }
  }

  #ipAt(at: number, length: number): Ip | undefined {
    if (length === 4) return { family: 4, value: BigInt(this.#view.getUint32(at)) };
    if (length !== 16) return undefined;
    const high = this.#view.getBigUint64(at);
    return { family: 6, value: (high << 64n) | this.#view.getBigUint64(at + 8) };
  }

  /** Where the payload begins, 0 when it is absent or shorter than `least`. */
  #offset(type: number, least: number): number {
    return (this.#length[type] ?? 0) < least ? 0 : (this.#at[type] ?? 0);
  }
}
