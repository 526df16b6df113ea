/** Netlink messages in tests: as the netlink package writes and reads them, and as we do. */
import { Message } from "../../agent/kernel/netlink/message.ts";
import { MessageWriter } from "../../agent/kernel/netlink/writer.ts";

const CAPACITY_BYTES = 1 << 16;
const HEADER_BYTES = 16;

/** What `write` packed. */
export function written(write: (writer: MessageWriter) => void): Buffer {
  const writer = new MessageWriter(CAPACITY_BYTES);
  write(writer);
  return Buffer.from(writer.bytes.subarray(0, writer.length));
}

/** A cursor on the first message of the datagram; undefined when it has none that is whole. */
export function firstMessage(datagram: Uint8Array): Message | undefined {
  const message = new Message(CAPACITY_BYTES);
  message.bytes.set(datagram.subarray(0, CAPACITY_BYTES));
  message.load(datagram.length);
  return message.next() ? message : undefined;
}

export interface MessageParts {
  readonly type: number;
  readonly flags?: number;
  readonly seq?: number;
  readonly body?: Uint8Array;
}

/** One message with its header, padded to the next multiple of four. */
export function message({ type, flags = 0, seq = 0, body }: MessageParts): Buffer {
  const length = HEADER_BYTES + (body?.length ?? 0);
  const bytes = Buffer.alloc((length + 3) & ~3);
  bytes.writeUInt32LE(length, 0);
  bytes.writeUInt16LE(type, 4);
  bytes.writeUInt16LE(flags, 6);
  bytes.writeUInt32LE(seq, 8);
  if (body !== undefined) bytes.set(body, HEADER_BYTES);
  return bytes;
}

/** One attribute, padded. */
export function attribute(type: number, payload: Uint8Array): Buffer {
  const length = 4 + payload.length;
  const bytes = Buffer.alloc((length + 3) & ~3);
  bytes.writeUInt16LE(length, 0);
  bytes.writeUInt16LE(type, 2);
  bytes.set(payload, 4);
  return bytes;
}
