/**
 * Neighbours (ARP, NDP) and FDB entries as rtnetlink messages. Both are struct ndmsg: a
 * neighbour maps an address to a MAC, an FDB entry (family AF_BRIDGE) a MAC to the remote
 * address behind which it lives.
 */
import type { FdbSpec, NeighbourSpec } from "../../plan/kernel-state.ts";
import type { FdbState, NeighbourState } from "../kernel.ts";
import { AF_BRIDGE, NLM_F_CREATE_REPLACE, NLM_F_DUMP, RTM } from "./constants.ts";
import { afOf } from "./families.ts";
import { Attributes, type Message } from "./message.ts";
import type { ChangeHead, MessageWriter } from "./writer.ts";

const NDMSG_BYTES = 12;
const NDA_DST = 1;
const NDA_LLADDR = 2;
const NDA_IFINDEX = 8;
const NUD_NOARP = 0x40;
const NUD_PERMANENT = 0x80;
/** The entry is the device's own, not its bridge's. */
const NTF_SELF = 0x02;
const RTN_UNICAST = 1;

const attributes = new Attributes();

type NameOf = (index: number) => string | undefined;

export function encodeNeighbour(
  writer: MessageWriter,
  head: ChangeHead,
  neighbour: NeighbourSpec,
): void {
  beginNeighbour(writer, head);
  writer.u32(afOf(neighbour.ip));
  writer.u32(head.index);
  writer.u16(NUD_PERMANENT);
  writer.u8(0);
  writer.u8(RTN_UNICAST);
  writer.attributeIp(NDA_DST, neighbour.ip);
  if (head.op === "put") writer.attributeMac(NDA_LLADDR, neighbour.mac);
  writer.end();
}

export function encodeFdb(writer: MessageWriter, head: ChangeHead, entry: FdbSpec): void {
  beginNeighbour(writer, head);
  writer.u32(AF_BRIDGE);
  writer.u32(head.index);
  writer.u16(NUD_PERMANENT);
  writer.u8(NTF_SELF);
  writer.u8(0);
  writer.attributeMac(NDA_LLADDR, entry.mac);
  writer.attributeIp(NDA_DST, entry.remote);
  writer.end();
}

function beginNeighbour(writer: MessageWriter, { op, seq }: ChangeHead): void {
  if (op === "put") writer.begin(RTM.NEWNEIGH, NLM_F_CREATE_REPLACE, seq);
  else writer.begin(RTM.DELNEIGH, 0, seq);
}

/** Both families; the kernel filters by the device. */
export function encodeNeighbourDump(writer: MessageWriter, index: number, seq: number): void {
  writer.begin(RTM.GETNEIGH, NLM_F_DUMP, seq);
  for (let word = 0; word < NDMSG_BYTES / 4; word += 1) writer.u32(0);
  writer.attributeU32(NDA_IFINDEX, index);
  writer.end();
}

/** The kernel filters by the device, which an FDB dump takes from the header. */
export function encodeFdbDump(writer: MessageWriter, index: number, seq: number): void {
  writer.begin(RTM.GETNEIGH, NLM_F_DUMP, seq);
  writer.u32(AF_BRIDGE);
  writer.u32(index);
  writer.u32(0);
  writer.end();
}

/** undefined: no neighbour with a MAC (unresolved, multicast), malformed, or nameless device. */
export function decodeNeighbour(message: Message, nameOf: NameOf): NeighbourState | undefined {
  if (message.bodyLength < NDMSG_BYTES || message.u8(0) === AF_BRIDGE) return undefined;
  if (isMulticast(message)) return undefined;
  const permanent = (message.u16(8) & NUD_PERMANENT) !== 0;
  const found = message.attributes(NDMSG_BYTES, attributes);
  const ip = found.ip(NDA_DST);
  const mac = found.mac(NDA_LLADDR);
  if (ip === undefined || mac === undefined) return undefined;
  const device = nameOf(message.u32(4));
  return device === undefined ? undefined : { device, ip, mac, permanent };
}

/** The kernel keeps computed entries for multicast groups, as every device has. */
function isMulticast(message: Message): boolean {
  return (message.u16(8) & (NUD_NOARP | NUD_PERMANENT)) === NUD_NOARP;
}

/** A removed neighbour: the kernel often has forgotten its MAC already. */
export function decodeNeighbourRemoval(
  message: Message,
  nameOf: NameOf,
): Pick<NeighbourSpec, "device" | "ip"> | undefined {
  if (message.bodyLength < NDMSG_BYTES || message.u8(0) === AF_BRIDGE) return undefined;
  if (isMulticast(message)) return undefined;
  const ip = message.attributes(NDMSG_BYTES, attributes).ip(NDA_DST);
  if (ip === undefined) return undefined;
  const device = nameOf(message.u32(4));
  return device === undefined ? undefined : { device, ip };
}

/** undefined: an entry without a remote address, malformed, or nameless device. */
export function decodeFdb(message: Message, nameOf: NameOf): FdbState | undefined {
  if (message.bodyLength < NDMSG_BYTES || message.u8(0) !== AF_BRIDGE) return undefined;
  const found = message.attributes(NDMSG_BYTES, attributes);
  const remote = found.ip(NDA_DST);
  const mac = found.mac(NDA_LLADDR);
  if (remote === undefined || mac === undefined) return undefined;
  const device = nameOf(message.u32(4));
  if (device === undefined) return undefined;
  return { device, mac, remote, permanent: (message.u16(8) & NUD_PERMANENT) !== 0 };
}
