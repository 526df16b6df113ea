/**
 * Whether a packet matches an expression of `nft --json list ruleset`: yes, no, or maybe when
 * the answer needs what is not known here (sets, marks, what an extension looks at). Pure.
 */
import { isJsonObject, type JsonObject } from "../../common/config/json-fields.ts";
import { type Cidr, containsIp, parseCidr } from "../../common/net/cidr.ts";
import { addressBits, type Ip, parseIp, sameIp } from "../../common/net/ip.ts";

export type Match = "yes" | "no" | "maybe";

/** The first packet of a conversation, as a hook sees it. */
export interface FilterPacket {
  /** Empty where the hook has none. */
  readonly iif: string;
  readonly oif: string;
  readonly from: Ip | undefined;
  readonly to: Ip | undefined;
  readonly protocol: "icmp" | "udp";
  /** undefined: has none. */
  readonly port: number | undefined;
}

/** `{match: {op, left, right}}`. */
export function matchExpression(match: JsonObject, packet: FilterPacket): Match {
  const { op, left, right } = match;
  const value = isJsonObject(left) ? readLeft(left, packet) : undefined;
  if (value === undefined) return "maybe";
  const is = compare(value, right);
  if (op === "!=") return is === "yes" ? "no" : is === "no" ? "yes" : "maybe";
  return op === "==" || op === "in" ? is : "maybe";
}

/** What the left side is for this packet; null: it has no such field, so nothing equals it. */
type LeftValue = string | number | Ip | null;

function readLeft(left: JsonObject, packet: FilterPacket): LeftValue | undefined {
  const { meta, payload, ct } = left;
  if (isJsonObject(meta)) return readMeta(String(meta["key"]), packet);
  if (isJsonObject(payload)) return readPayload(payload, packet);
  if (isJsonObject(ct) && ct["key"] === "state") return "new";
  return undefined;
}

function readMeta(key: string, packet: FilterPacket): LeftValue | undefined {
  switch (key) {
    case "iifname":
    case "iif":
      return packet.iif;
    case "oifname":
    case "oif":
      return packet.oif;
    case "l4proto":
      return packet.protocol;
    case "nfproto":
      return packet.to === undefined ? undefined : packet.to.family === 4 ? "ipv4" : "ipv6";
    default:
      return undefined;
  }
}

function readPayload(payload: JsonObject, packet: FilterPacket): LeftValue | undefined {
  const { protocol, field } = payload;
  if (protocol === "ip" || protocol === "ip6") {
    return readAddressed(protocol === "ip" ? 4 : 6, String(field), packet);
  }
  if (protocol !== "th" && protocol !== packet.protocol) return null;
  return field === "dport" ? (packet.port ?? null) : undefined;
}

function readAddressed(family: 4 | 6, field: string, packet: FilterPacket): LeftValue | undefined {
  if (packet.to !== undefined && packet.to.family !== family) return null;
  switch (field) {
    case "saddr":
      return packet.from;
    case "daddr":
      return packet.to;
    case "protocol":
    case "nexthdr":
      return packet.protocol;
    default:
      return undefined;
  }
}

function compare(value: LeftValue, right: unknown): Match {
  if (value === null) return "no";
  if (Array.isArray(right)) return anyOf(right.map((one: unknown) => compare(value, one)));
  if (typeof right === "number") return value === right ? "yes" : "no";
  if (typeof right === "string") return compareText(value, right);
  if (!isJsonObject(right)) return "maybe";
  const { prefix, set, range } = right;
  if (isJsonObject(prefix)) return within(value, prefix);
  if (Array.isArray(set)) return compare(value, set);
  if (Array.isArray(range)) return between(value, range);
  return "maybe";
}

function compareText(value: LeftValue, right: string): Match {
  // A named set's content is not looked up.
  if (right.startsWith("@")) return "maybe";
  if (typeof value === "string") {
    const isPattern = right.endsWith("*");
    const is = isPattern ? value.startsWith(right.slice(0, -1)) : value === right;
    return is ? "yes" : "no";
  }
  if (typeof value === "number") return String(value) === right ? "yes" : "no";
  const ip = parseIp(right);
  if (ip === undefined || value === null) return "maybe";
  return sameIp(value, ip) ? "yes" : "no";
}

function within(value: LeftValue, prefix: JsonObject): Match {
  const network = parseCidr(`${String(prefix["addr"])}/${String(prefix["len"])}`);
  if (network === undefined || !isIp(value)) return "maybe";
  return isIn(network, value) ? "yes" : "no";
}

function isIn(network: Cidr, ip: Ip): boolean {
  return addressBits(network.ip.family) === addressBits(ip.family) && containsIp(network, ip);
}

function between(value: LeftValue, [low, high]: readonly unknown[]): Match {
  if (typeof value !== "number" || typeof low !== "number" || typeof high !== "number") {
    return "maybe";
  }
  return low <= value && value <= high ? "yes" : "no";
}

function isIp(value: LeftValue): value is Ip {
  return typeof value === "object" && value !== null;
}

function anyOf(matches: readonly Match[]): Match {
  if (matches.includes("yes")) return "yes";
  return matches.includes("maybe") ? "maybe" : "no";
}
