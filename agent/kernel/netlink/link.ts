/**
 * Links as rtnetlink messages (struct ifinfomsg). Devices are asked for by name, so no index
 * can be stale. What a kind of device adds is in link-info.ts.
 */
import type { LinkChange, LinkState } from "../kernel.ts";
import { NLM_F_CREATE_EXCL, NLM_F_DUMP, RTM } from "./constants.ts";
import { decodeLinkInfo, encodeLinkInfo, type NetlinkLink } from "./link-info.ts";
import { Attributes, type Message } from "./message.ts";
import type { MessageWriter } from "./writer.ts";

const IFINFOMSG_BYTES = 16;
const IFF_UP = 0x1;
const IFF_RUNNING = 0x40;
const IFLA_ADDRESS = 1;
const IFLA_IFNAME = 3;
const IFLA_MTU = 4;
const IFLA_LINK = 5;
const IFLA_TXQLEN = 13;
const IFLA_LINKINFO = 18;
const IFLA_EXT_MASK = 29;
/** Leaves out the counters, most of a link's message. */
const RTEXT_FILTER_SKIP_STATS = 8;

const attributes = new Attributes();
const infoAttributes = new Attributes();

/** Longer names cannot be those of a device (IFNAMSIZ with its closing zero). */
const LONGEST_NAME_BYTES = 15;

export function isDeviceName(name: string): boolean {
  return name !== "" && Buffer.byteLength(name) <= LONGEST_NAME_BYTES;
}

export function encodeLinkCreation(
  writer: MessageWriter,
  link: NetlinkLink,
  lowerIndex: number,
  seq: number,
): void {
  writer.begin(RTM.NEWLINK, NLM_F_CREATE_EXCL, seq);
  ifinfomsg(writer, { index: 0, flags: 0, change: 0 });
  writer.attributeText(IFLA_IFNAME, link.name);
  writer.attributeU32(IFLA_MTU, link.mtuBytes);
  // Set at creation: a MAC that the kernel drew would be replaced by systemd's own policy.
  if (link.kind === "vxlan") writer.attributeMac(IFLA_ADDRESS, link.mac);
  writer.attributeU32(IFLA_TXQLEN, 0);
  writer.nest(IFLA_LINKINFO, () => encodeLinkInfo(writer, link, lowerIndex));
  writer.end();
}

export function encodeLinkChange(
  writer: MessageWriter,
  name: string,
  set: LinkChange,
  seq: number,
): void {
  writer.begin(RTM.NEWLINK, 0, seq);
  const change = set.up === undefined ? 0 : IFF_UP;
  ifinfomsg(writer, { index: 0, flags: set.up === true ? IFF_UP : 0, change });
  writer.attributeText(IFLA_IFNAME, name);
  if (set.mtuBytes !== undefined) writer.attributeU32(IFLA_MTU, set.mtuBytes);
  if (set.mac !== undefined) writer.attributeMac(IFLA_ADDRESS, set.mac);
  writer.end();
}

export function encodeLinkDeletion(writer: MessageWriter, name: string, seq: number): void {
  writer.begin(RTM.DELLINK, 0, seq);
  ifinfomsg(writer, { index: 0, flags: 0, change: 0 });
  writer.attributeText(IFLA_IFNAME, name);
  writer.end();
}

/** Asks for one link, by name or by index. */
export function encodeLinkQuery(
  writer: MessageWriter,
  which: { readonly name: string } | { readonly index: number },
  seq: number,
): void {
  writer.begin(RTM.GETLINK, 0, seq);
  ifinfomsg(writer, { index: "index" in which ? which.index : 0, flags: 0, change: 0 });
  if ("name" in which) writer.attributeText(IFLA_IFNAME, which.name);
  writer.attributeU32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
  writer.end();
}

export function encodeLinkDump(writer: MessageWriter, seq: number): void {
  writer.begin(RTM.GETLINK, NLM_F_DUMP, seq);
  ifinfomsg(writer, { index: 0, flags: 0, change: 0 });
  writer.attributeU32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
  writer.end();
}

/** undefined: malformed, or about a link's part in a bridge (those have that family). */
export function decodeLink(message: Message): LinkState | undefined {
  const head = decodeLinkName(message);
  if (head === undefined) return undefined;
  const flags = message.u32(8);
  const info = attributes.nested(IFLA_LINKINFO, infoAttributes);
  return {
    ...head,
    up: (flags & IFF_UP) !== 0,
    running: (flags & IFF_RUNNING) !== 0,
    mtuBytes: attributes.u32(IFLA_MTU) ?? 0,
    mac: attributes.mac(IFLA_ADDRESS),
    lowerIndex: attributes.u32(IFLA_LINK) ?? 0,
    ...decodeLinkInfo(info),
  };
}

/** Index and name alone; leaves the attributes scanned. */
export function decodeLinkName(
  message: Message,
): { readonly index: number; readonly name: string } | undefined {
  if (message.bodyLength < IFINFOMSG_BYTES || message.u8(0) !== 0) return undefined;
  const name = message.attributes(IFINFOMSG_BYTES, attributes).text(IFLA_IFNAME);
  return name === undefined || name === "" ? undefined : { index: message.u32(4), name };
}

function ifinfomsg(
  writer: MessageWriter,
  head: { readonly index: number; readonly flags: number; readonly change: number },
): void {
  writer.u32(0);
  writer.u32(head.index);
  writer.u32(head.flags);
  writer.u32(head.change);
}
