/** flannel's key codec: "10.5.52.0-24", "10.5.52.0-24&fd00:5::-64" (contract 1.1). */
import { type Cidr, cidr } from "../net/cidr.ts";
import { formatIp, parseIp4, parseIp6 } from "../net/ip.ts";
import type { Subnets } from "./lease.ts";

/** What flannel writes as the v4 half of an IPv6-only key; read, never written (contract 1.9). */
const NO_V4 = "0.0.0.0-0";

/** Parses the last path element of a subnets key; undefined when flannel would not parse it either. */
export function parseSubnetKey(text: string): Subnets | undefined {
  const [v4Text = "", v6Text, ...more] = text.split("&");
  if (more.length > 0) return undefined;
  const v4 = v4Text === NO_V4 ? undefined : parseV4(v4Text);
  if (v4 === undefined && v4Text !== NO_V4) return undefined;
  if (v6Text === undefined) return v4 === undefined ? undefined : { v4, v6: undefined };
  const v6 = parseV6(v6Text);
  return v6 === undefined ? undefined : { v4, v6 };
}

function parseV4(text: string): Cidr | undefined {
  const match = /^([0-9]{1,3}(?:\.[0-9]{1,3}){3})-([0-9]{1,2})$/.exec(text);
  const ip = parseIp4(match?.[1] ?? "");
  const prefix = Number(match?.[2]);
  // 5 bits for the length, as flannel reads it.
  return ip === undefined || !(prefix <= 31) ? undefined : cidr(ip, prefix);
}

function parseV6(text: string): Cidr | undefined {
  const match = /^([0-9a-f:]+)-([0-9]{1,3})$/.exec(text);
  const ip = parseIp6(match?.[1] ?? "");
  const prefix = Number(match?.[2]);
  return ip === undefined || !(prefix <= 127) ? undefined : cidr(ip, prefix);
}

/** The canonical key of these subnets. */
export function formatSubnetKey(subnets: Subnets): string {
  const v4 = subnets.v4 === undefined ? NO_V4 : half(subnets.v4);
  return subnets.v6 === undefined ? v4 : `${v4}&${half(subnets.v6)}`;
}

function half(network: Cidr): string {
  return `${formatIp(network.ip)}-${network.prefix}`;
}
