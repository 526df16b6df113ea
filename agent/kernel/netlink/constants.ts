/**
 * Numbers of the kernel's netlink ABI. Those that the netlink package names are checked
 * against it by the compiler: only its types are imported here, because loading its rtnetlink
 * tables costs 3 to 9 MiB and 15 to 30 ms (docs/kernel.md). Attribute numbers, which it does
 * not name, are checked by test/unit/agent/kernel/netlink-formats.test.ts against its codecs.
 */
import type { Attributes, FlagsGet, FlagsNew, Protocol } from "netlink/dist/constants.js";
import type {
  MessageType,
  MulticastGroups,
  RouteScope,
  RouteType,
  RoutingTableClass,
} from "netlink/dist/rt/gen_structs.js";

/** Constants of an enum of the package under their names there, each with its value there. */
type From<Enum> = { readonly [Name in keyof Enum]?: Enum[Name] };

/** socket(2): address family, types; the sockopt levels. */
export const AF_NETLINK = 16;
export const SOCK_RAW = 3;
export const SOCK_CLOEXEC = 0o2000000;
export const SOL_SOCKET = 1;
export const SO_RCVTIMEO = 20;
export const SO_RCVBUFFORCE = 33;
export const SOL_NETLINK = 270;
export const MSG_DONTWAIT = 0x40;
/** Makes recv tell the true length of a datagram that did not fit. */
export const MSG_TRUNC = 0x20;
export const CLONE_NEWNET = 0x40000000;

export const NETLINK = { ROUTE: 0, NETFILTER: 12, GENERIC: 16 } as const satisfies From<
  typeof Protocol
>;

export const SOCKOPT = {
  ADD_MEMBERSHIP: 1,
  CAP_ACK: 10,
  EXT_ACK: 11,
  GET_STRICT_CHK: 12,
} as const satisfies From<typeof Attributes>;

/** nlmsg_flags. */
export const NLM_F_REQUEST = 0x1;
export const NLM_F_ACK = 0x4;
export const NLM_F_DUMP_INTR = 0x10;
export const NLM_F_CAPPED = 0x100;
export const NLM_F_ACK_TLVS = 0x200;
const GET = { DUMP: 0x300 } as const satisfies From<typeof FlagsGet>;
const NEW = { REPLACE: 0x100, EXCL: 0x200, CREATE: 0x400 } as const satisfies From<typeof FlagsNew>;
export const NLM_F_DUMP = GET.DUMP;
export const NLM_F_CREATE_REPLACE = NEW.CREATE | NEW.REPLACE;
export const NLM_F_CREATE_EXCL = NEW.CREATE | NEW.EXCL;

/** Control messages. */
export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;

/** Flags in nla_type. */
export const NLA_F_NESTED = 0x8000;
export const NLA_TYPE_MASK = 0x3fff;

export const RTM = {
  NEWLINK: 16,
  DELLINK: 17,
  GETLINK: 18,
  NEWADDR: 20,
  DELADDR: 21,
  GETADDR: 22,
  NEWROUTE: 24,
  DELROUTE: 25,
  GETROUTE: 26,
  NEWNEIGH: 28,
  DELNEIGH: 29,
  GETNEIGH: 30,
} as const satisfies From<typeof MessageType>;

export const RTNLGRP = {
  LINK: 1,
  NEIGH: 3,
  IPV4_IFADDR: 5,
  IPV4_ROUTE: 7,
  IPV6_IFADDR: 9,
  IPV6_ROUTE: 11,
} as const satisfies From<typeof MulticastGroups>;

export const RTN = { UNICAST: 1, LOCAL: 2, BLACKHOLE: 6 } as const satisfies From<typeof RouteType>;

export const SCOPE = {
  UNIVERSE: 0,
  LINK: 253,
  HOST: 254,
  NOWHERE: 255,
} as const satisfies From<typeof RouteScope>;

export const TABLE = { MAIN: 254 } as const satisfies From<typeof RoutingTableClass>;

/** Address families in rtnetlink headers. */
export const AF_INET = 2;
export const AF_INET6 = 10;
/** FDB entries travel in neighbour messages of this family. */
export const AF_BRIDGE = 7;
