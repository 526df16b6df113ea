/**
 * subnet.env: how containers learn their subnet and MTU. Rendered byte for byte as flannel
 * writes it, read as tolerantly as flannel reads it (contract 2.5). Pure.
 */

import type { Subnets } from "../../common/lease/lease.ts";
import { formatSubnetKey } from "../../common/lease/subnet-key.ts";
import {
  type Cidr,
  cidr,
  formatCidr,
  gatewayAddress,
  parseInterfaceAddress,
} from "../../common/net/cidr.ts";
import { type Family, formatIp } from "../../common/net/ip.ts";

/** One family's pair of lines. */
export interface SubnetEnvFamily {
  readonly network: Cidr;
  readonly subnet: Cidr;
}

export interface SubnetEnv {
  readonly v4: SubnetEnvFamily | undefined;
  readonly v6: SubnetEnvFamily | undefined;
  readonly mtuBytes: number;
  readonly ipMasq: boolean;
}

/** What an earlier run (ours or flannel's) was given. */
export interface PreviousEnv {
  /** undefined where the file does not say. */
  readonly subnets: Subnets;
  /** Overlay networks of that run: what it left there is ours to tidy up. */
  readonly networks: readonly Cidr[];
}

/** The whole file, LF ended, no quotes, in flannel's order. */
export function renderSubnetEnv(env: SubnetEnv): string {
  const lines = [
    ...familyLines(env.v4, "FLANNEL_NETWORK", "FLANNEL_SUBNET"),
    ...familyLines(env.v6, "FLANNEL_IPV6_NETWORK", "FLANNEL_IPV6_SUBNET"),
    `FLANNEL_MTU=${env.mtuBytes}`,
    `FLANNEL_IPMASQ=${env.ipMasq}`,
  ];
  return lines.map((line) => `${line}\n`).join("");
}

function familyLines(
  family: SubnetEnvFamily | undefined,
  networkName: string,
  subnetName: string,
): string[] {
  if (family === undefined) return [];
  const address = formatIp(gatewayAddress(family.subnet));
  return [
    `${networkName}=${formatCidr(family.network)}`,
    `${subnetName}=${address}/${family.subnet.prefix}`,
  ];
}

/** Reads what an earlier run was given; lines it does not know are skipped. */
export function parsePreviousEnv(text: string): PreviousEnv {
  const values = parseDotenv(text);
  return {
    subnets: {
      v4: onlySubnet(values.get("FLANNEL_SUBNET"), 4),
      v6: onlySubnet(values.get("FLANNEL_IPV6_SUBNET"), 6),
    },
    networks: [
      ...listOf(values.get("FLANNEL_NETWORK"), 4),
      ...listOf(values.get("FLANNEL_IPV6_NETWORK"), 6),
    ],
  };
}

/** Key of the lease that an earlier run had; empty: none. */
export function previousKey({ subnets }: PreviousEnv): string {
  return subnets.v4 === undefined && subnets.v6 === undefined ? "" : formatSubnetKey(subnets);
}

/** More than one is ignored. */
function onlySubnet(value: string | undefined, family: Family): Cidr | undefined {
  const [first, ...more] = listOf(value, family);
  return more.length === 0 ? first : undefined;
}

/** A comma list is tolerated, invalid CIDRs in it are skipped. */
function listOf(value: string | undefined, family: Family): readonly Cidr[] {
  return (value ?? "").split(",").flatMap((item) => {
    const address = parseInterfaceAddress(item.trim());
    return address?.ip.family === family ? [cidr(address.ip, address.prefix)] : [];
  });
}

/** KEY=VALUE lines; comments, "export", blanks and matching quotes as dotenv files have them. */
function parseDotenv(text: string): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  for (const line of text.split(/\r?\n/)) {
    const match = /^(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)$/.exec(line.trim());
    const [, name, raw] = match ?? [];
    if (name !== undefined && raw !== undefined) values.set(name, unquote(raw));
  }
  return values;
}

function unquote(raw: string): string {
  const quoted = /^(["'])(.*)\1$/.exec(raw);
  return quoted?.[2] ?? raw.replace(/\s+#.*$/, "");
}
