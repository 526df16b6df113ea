/**
 * What each kind of device adds to a link's message: IFLA_INFO_KIND and its IFLA_INFO_DATA.
 * The attributes are those of contract 3.1 (vxlan) and 3.4 (ipip).
 */

import { type Ip, isUnspecified } from "../../../common/net/ip.ts";
import type { IpipLink, LinkSpec, TunLink, VxlanLink } from "../../plan/kernel-state.ts";
import type { IpipInfo, LinkState, VxlanInfo } from "../kernel.ts";
import { Attributes } from "./message.ts";
import type { MessageWriter } from "./writer.ts";

/** Devices that rtnetlink makes; TUN devices are made by ioctl. */
export type NetlinkLink = Exclude<LinkSpec, TunLink>;

const IFLA_INFO_KIND = 1;
const IFLA_INFO_DATA = 2;
const VXLAN = {
  ID: 1,
  GROUP: 2,
  LINK: 3,
  LOCAL: 4,
  TTL: 5,
  TOS: 6,
  LEARNING: 7,
  PROXY: 11,
  RSC: 12,
  L2MISS: 13,
  L3MISS: 14,
  PORT: 15,
  GROUP6: 16,
  LOCAL6: 17,
  UDP_ZERO_CSUM6_TX: 19,
  UDP_ZERO_CSUM6_RX: 20,
  GBP: 23,
} as const;
const IPTUN = { LOCAL: 2, REMOTE: 3, TTL: 4, TOS: 5, PMTUDISC: 10 } as const;

const dataAttributes = new Attributes();

export function encodeLinkInfo(writer: MessageWriter, link: NetlinkLink, lowerIndex: number): void {
  writer.attributeText(IFLA_INFO_KIND, link.kind);
  switch (link.kind) {
    case "vxlan":
      writer.nest(IFLA_INFO_DATA, () => encodeVxlan(writer, link, lowerIndex));
      break;
    case "ipip":
      writer.nest(IFLA_INFO_DATA, () => encodeIpip(writer, link));
      break;
    case "wireguard":
      // Key, port and peers are set by generic netlink (wireguard-socket.ts).
      break;
  }
}

/** `info`: the attributes of IFLA_LINKINFO, undefined for plain hardware. */
export function decodeLinkInfo(
  info: Attributes | undefined,
): Pick<LinkState, "kind" | "vxlan" | "ipip"> {
  const kind = info?.text(IFLA_INFO_KIND) ?? "";
  const data = (): Attributes | undefined => info?.nested(IFLA_INFO_DATA, dataAttributes);
  switch (kind) {
    case "vxlan": {
      const found = data();
      return { kind, vxlan: found === undefined ? undefined : decodeVxlan(found) };
    }
    case "ipip": {
      const found = data();
      return {
        kind,
        vxlan: undefined,
        ...(found === undefined ? {} : { ipip: decodeIpip(found) }),
      };
    }
    default:
      return { kind, vxlan: undefined };
  }
}

function encodeVxlan(writer: MessageWriter, link: VxlanLink, lowerIndex: number): void {
  writer.attributeU32(VXLAN.ID, link.vni);
  writer.attributeU32(VXLAN.LINK, lowerIndex);
  writer.attributeIp(link.local.family === 4 ? VXLAN.LOCAL : VXLAN.LOCAL6, link.local);
  writer.attributeU8(VXLAN.TTL, 0);
  writer.attributeU8(VXLAN.TOS, 0);
  writer.attributeU8(VXLAN.LEARNING, link.learning ? 1 : 0);
  writer.attributeU8(VXLAN.PROXY, 0);
  writer.attributeU8(VXLAN.RSC, 0);
  writer.attributeU8(VXLAN.L2MISS, 0);
  writer.attributeU8(VXLAN.L3MISS, 0);
  writer.attributeU8(VXLAN.UDP_ZERO_CSUM6_TX, 0);
  writer.attributeU8(VXLAN.UDP_ZERO_CSUM6_RX, 0);
  if (link.gbp) writer.attributeFlag(VXLAN.GBP);
  if (link.port !== 0) writer.attributePort(VXLAN.PORT, link.port);
}

/** TTL 0 is "inherit"; no path MTU discovery, as flannel has it. */
function encodeIpip(writer: MessageWriter, link: IpipLink): void {
  writer.attributeIp(IPTUN.LOCAL, link.local);
  writer.attributeU8(IPTUN.TTL, 0);
  writer.attributeU8(IPTUN.TOS, 0);
  writer.attributeU8(IPTUN.PMTUDISC, 0);
}

function decodeVxlan(data: Attributes): VxlanInfo {
  return {
    vni: data.u32(VXLAN.ID) ?? 0,
    lowerIndex: data.u32(VXLAN.LINK) ?? 0,
    local: data.ip(VXLAN.LOCAL) ?? data.ip(VXLAN.LOCAL6),
    group: data.ip(VXLAN.GROUP) ?? data.ip(VXLAN.GROUP6),
    port: data.port(VXLAN.PORT) ?? 0,
    learning: data.u8(VXLAN.LEARNING) === 1,
    gbp: data.has(VXLAN.GBP),
    l2miss: data.u8(VXLAN.L2MISS) === 1,
    l3miss: data.u8(VXLAN.L3MISS) === 1,
  };
}

/** The kernel says 0.0.0.0 for an end that is not set. */
function decodeIpip(data: Attributes): IpipInfo {
  const set = (type: number): Ip | undefined => {
    const ip = data.ip(type);
    return ip === undefined || isUnspecified(ip) ? undefined : ip;
  };
  return { local: set(IPTUN.LOCAL), remote: set(IPTUN.REMOTE) };
}
