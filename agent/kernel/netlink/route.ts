/** Routes of the main table as rtnetlink messages (struct rtmsg), both families in one path. */
import type { Cidr } from "../../../common/net/cidr.ts";
import { addressBits, type Family, type Ip } from "../../../common/net/ip.ts";
import type { RouteSpec } from "../../plan/kernel-state.ts";
import type { RouteState } from "../kernel.ts";
import {
  AF_INET,
  AF_INET6,
  NLM_F_CREATE_REPLACE,
  NLM_F_DUMP,
  RTM,
  RTN,
  SCOPE,
  TABLE,
} from "./constants.ts";
import { afOf } from "./families.ts";
import { Attributes, type Message } from "./message.ts";
import type { ChangeHead, MessageWriter } from "./writer.ts";

const RTMSG_BYTES = 12;
const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RTA_PRIORITY = 6;
const RTA_PREFSRC = 7;
const RTA_METRICS = 8;
const RTA_TABLE = 15;
const RTA_VIA = 18;
const RTNH_F_ONLINK = 0x4;
const RTAX_MTU = 2;
/** A cached copy of a route, made for one destination. */
const RTM_F_CLONED = 0x200;

const attributes = new Attributes();
const metrics = new Attributes();

export function encodeRoute(
  writer: MessageWriter,
  { op, index, seq }: ChangeHead,
  route: RouteSpec,
): void {
  const { destination, gateway, metric } = route;
  if (op === "put") writer.begin(RTM.NEWROUTE, NLM_F_CREATE_REPLACE, seq);
  else writer.begin(RTM.DELROUTE, 0, seq);
  writer.u8(afOf(destination.ip));
  writer.u8(destination.prefix);
  writer.u16(0);
  writer.u8(TABLE.MAIN);
  writer.u8(route.protocol);
  writer.u8(op === "put" ? scopeNumber(route) : SCOPE.NOWHERE);
  writer.u8(route.type === "blackhole" ? RTN.BLACKHOLE : RTN.UNICAST);
  writer.u32(route.onlink ? RTNH_F_ONLINK : 0);
  writer.attributeIp(RTA_DST, destination.ip);
  if (gateway !== undefined) writer.attributeIp(RTA_GATEWAY, gateway);
  if (index !== 0) writer.attributeU32(RTA_OIF, index);
  if (metric !== undefined) writer.attributeU32(RTA_PRIORITY, metric);
  writer.end();
}

/** The kernel sends the main table of one family only (strict checking is on). */
export function encodeRouteDump(writer: MessageWriter, family: Family, seq: number): void {
  writer.begin(RTM.GETROUTE, NLM_F_DUMP, seq);
  writer.u32(family === 4 ? AF_INET : AF_INET6);
  writer.u32(TABLE.MAIN);
  writer.u32(0);
  writer.end();
}

export function encodeRouteLookup(writer: MessageWriter, destination: Ip, seq: number): void {
  writer.begin(RTM.GETROUTE, 0, seq);
  writer.u8(afOf(destination));
  writer.u8(addressBits(destination.family));
  writer.u16(0);
  writer.u32(0);
  writer.u32(0);
  writer.attributeIp(RTA_DST, destination);
  writer.end();
}

/**
 * undefined: not a unicast or blackhole route of the main table, malformed, or through a device
 * that has no name (any more).
 */
export function decodeRoute(
  message: Message,
  wanted: Family | "both",
  nameOf: (index: number) => string | undefined,
): RouteState | undefined {
  const family = routeFamily(message);
  // A kernel without IPv6 answers its dump with everybody's routes.
  if (family === undefined || (wanted !== "both" && wanted !== family)) return undefined;
  const type = routeType(message.u8(7));
  const found = message.attributes(RTMSG_BYTES, attributes);
  const destination = destinationOf(message, family);
  if (type === undefined || destination === undefined || !isOfMainTable(message)) return undefined;
  // IPv6 shows blackholes on lo.
  const index = type === "blackhole" ? undefined : found.u32(RTA_OIF);
  const device = index === undefined ? undefined : nameOf(index);
  if (index !== undefined && device === undefined) return undefined;
  return {
    destination,
    gateway: found.ip(RTA_GATEWAY) ?? found.via(RTA_VIA),
    device,
    onlink: (message.u32(8) & RTNH_F_ONLINK) !== 0,
    scope: family === 4 && message.u8(6) === SCOPE.LINK ? "link" : "global",
    type,
    protocol: message.u8(5),
    metric: found.u32(RTA_PRIORITY) ?? 0,
  };
}

/** With the attributes scanned; undefined: malformed. */
function destinationOf(message: Message, family: Family): Cidr | undefined {
  const ip = attributes.ip(RTA_DST) ?? { family, value: 0n };
  const prefix = message.u8(1);
  return ip.family === family && prefix <= addressBits(family) ? { ip, prefix } : undefined;
}

/** With the attributes scanned; cached copies for one destination do not count. */
function isOfMainTable(message: Message): boolean {
  const table = attributes.u32(RTA_TABLE) ?? message.u8(4);
  return table === TABLE.MAIN && (message.u32(8) & RTM_F_CLONED) === 0;
}

export interface FoundRoute {
  readonly index: number;
  readonly gateway?: Ip;
  readonly source?: Ip;
  readonly isLocal?: true;
  readonly mtuBytes?: number;
}

/** What a look-up answered; undefined: malformed. */
export function decodeRouteLookup(message: Message): FoundRoute | undefined {
  if (routeFamily(message) === undefined) return undefined;
  const found = message.attributes(RTMSG_BYTES, attributes);
  const index = found.u32(RTA_OIF);
  if (index === undefined) return undefined;
  const gateway = found.ip(RTA_GATEWAY) ?? found.via(RTA_VIA);
  const source = found.ip(RTA_PREFSRC);
  const mtuBytes = found.nested(RTA_METRICS, metrics)?.u32(RTAX_MTU);
  return {
    index,
    ...(gateway === undefined ? {} : { gateway }),
    ...(source === undefined ? {} : { source }),
    ...(message.u8(7) === RTN.LOCAL ? { isLocal: true } : {}),
    ...(mtuBytes === undefined ? {} : { mtuBytes }),
  };
}

function routeFamily(message: Message): Family | undefined {
  if (message.bodyLength < RTMSG_BYTES) return undefined;
  const af = message.u8(0);
  if (af === AF_INET) return 4;
  return af === AF_INET6 ? 6 : undefined;
}

function routeType(type: number): RouteState["type"] | undefined {
  if (type === RTN.UNICAST) return "unicast";
  return type === RTN.BLACKHOLE ? "blackhole" : undefined;
}

function scopeNumber(route: RouteSpec): number {
  return route.scope === "link" ? SCOPE.LINK : SCOPE.UNIVERSE;
}
