/**
 * Netlink requests as bytes: packs many messages into one buffer that is used again and again,
 * so that 20,000 peers cost the encoding alone.
 */
import type { Ip } from "../../../common/net/ip.ts";
import { type Mac, writeMac } from "../../../common/net/mac.ts";
import { NLA_F_NESTED, NLM_F_ACK, NLM_F_REQUEST } from "./constants.ts";
import {
  ATTRIBUTE_HEADER_BYTES,
  alignToWord,
  HEADER_BYTES,
  HOST_IS_LITTLE_ENDIAN as HOST,
} from "./layout.ts";

const LOW_64 = (1n << 64n) - 1n;

/** What every change's message begins with. */
export interface ChangeHead {
  readonly op: "put" | "delete";
  /** Device of the object; 0: none is said. */
  readonly index: number;
  readonly seq: number;
}

/** Packs messages one after the other. `begin`, then fields and attributes, then `end`. */
export class MessageWriter {
  readonly bytes: Buffer;
  readonly #view: DataView;
  #at = 0;
  #start = 0;
  #count = 0;

  constructor(capacityBytes: number) {
    this.bytes = Buffer.alloc(capacityBytes);
    this.#view = new DataView(this.bytes.buffer, this.bytes.byteOffset, capacityBytes);
  }

  /** Bytes packed so far. */
  get length(): number {
    return this.#at;
  }

  /** Messages packed so far. */
  get count(): number {
    return this.#count;
  }

  clear(): void {
    this.#at = 0;
    this.#count = 0;
  }

  begin(type: number, flags: number, seq: number): void {
    this.#start = this.#at;
    this.#view.setUint16(this.#at + 4, type, HOST);
    this.#view.setUint16(this.#at + 6, flags | NLM_F_REQUEST, HOST);
    this.#view.setUint32(this.#at + 8, seq, HOST);
    this.#view.setUint32(this.#at + 12, 0, HOST);
    this.#at += HEADER_BYTES;
  }

  end(): void {
    this.#view.setUint32(this.#start, this.#at - this.#start, HOST);
    this.#count += 1;
  }

  /** Asks for an acknowledgement of the message written last. */
  requestAck(): void {
    const flags = this.#view.getUint16(this.#start + 6, HOST);
    this.#view.setUint16(this.#start + 6, flags | NLM_F_ACK, HOST);
  }

  u8(value: number): void {
    this.#view.setUint8(this.#at, value);
    this.#at += 1;
  }

  u16(value: number): void {
    this.#view.setUint16(this.#at, value, HOST);
    this.#at += 2;
  }

  u32(value: number): void {
    this.#view.setUint32(this.#at, value, HOST);
    this.#at += 4;
  }

  attributeU8(type: number, value: number): void {
    this.#attribute(type, 1);
    this.#view.setUint32(this.#at, 0);
    this.#view.setUint8(this.#at, value);
    this.#at += 4;
  }

  attributeU16(type: number, value: number): void {
    this.#attribute(type, 2);
    this.#view.setUint32(this.#at, 0);
    this.#view.setUint16(this.#at, value, HOST);
    this.#at += 4;
  }

  attributeBytes(type: number, bytes: Uint8Array): void {
    this.#attribute(type, bytes.length);
    this.bytes.fill(0, this.#at, this.#at + alignToWord(bytes.length));
    this.bytes.set(bytes, this.#at);
    this.#at += alignToWord(bytes.length);
  }

  attributeU32(type: number, value: number): void {
    this.#attribute(type, 4);
    this.u32(value);
  }

  /** A port: two bytes in network order. */
  attributePort(type: number, value: number): void {
    this.#attribute(type, 2);
    this.#view.setUint32(this.#at, 0);
    this.#view.setUint16(this.#at, value);
    this.#at += 4;
  }

  /** An attribute whose presence is its value. */
  attributeFlag(type: number): void {
    this.#attribute(type, 0);
  }

  /** Text with the closing zero that the kernel wants of names. */
  attributeText(type: number, text: string): void {
    const length = Buffer.byteLength(text) + 1;
    this.#attribute(type, length);
    this.bytes.fill(0, this.#at, this.#at + alignToWord(length));
    this.bytes.write(text, this.#at);
    this.#at += alignToWord(length);
  }

  attributeIp(type: number, ip: Ip): void {
    if (ip.family === 4) {
      this.#attribute(type, 4);
      this.#view.setUint32(this.#at, Number(ip.value));
      this.#at += 4;
    } else {
      this.#attribute(type, 16);
      this.#view.setBigUint64(this.#at, ip.value >> 64n);
      this.#view.setBigUint64(this.#at + 8, ip.value & LOW_64);
      this.#at += 16;
    }
  }

  attributeMac(type: number, mac: Mac): void {
    this.#attribute(type, 6);
    this.#view.setUint32(this.#at + 4, 0);
    writeMac(mac, this.bytes, this.#at);
    this.#at += 8;
  }

  /** A nest; strict families of attributes demand the flag. */
  nest(type: number, write: () => void): void {
    const start = this.#at;
    this.#attribute(type | NLA_F_NESTED, 0);
    write();
    this.#view.setUint16(start, this.#at - start, HOST);
  }

  #attribute(type: number, length: number): void {
    this.#view.setUint16(this.#at, ATTRIBUTE_HEADER_BYTES + length, HOST);
    this.#view.setUint16(this.#at + 2, type, HOST);
    this.#at += ATTRIBUTE_HEADER_BYTES;
  }
}
