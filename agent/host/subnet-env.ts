/**
 * subnet.env: how containers learn their subnet and MTU. Rendered byte for byte as flannel
 * writes it, read as tolerantly as flannel reads it (contract 2.5). Pure.
 */
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

/** The node's subnets as an earlier run left them; undefined where the file does not say. */
export interface PreviousSubnets {
  readonly v4: Cidr | undefined;
  readonly v6: Cidr | undefined;
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

/** Reads the subnets an earlier run was given; lines it does not know are skipped. */
export function parsePreviousSubnets(text: string): PreviousSubnets {
  const values = parseDotenv(text);
  return {
    v4: onlySubnet(values.get("FLANNEL_SUBNET"), 4),
    v6: onlySubnet(values.get("FLANNEL_IPV6_SUBNET"), 6),
  };
}

/** A comma list is tolerated, invalid CIDRs in it are skipped, more than one left is ignored. */
function onlySubnet(value: string | undefined, family: Family): Cidr | undefined {
  const found: Cidr[] = [];
  for (const item of (value ?? "").split(",")) {
    const address = parseInterfaceAddress(item.trim());
    if (address?.ip.family === family) found.push(cidr(address.ip, address.prefix));
  }
  return found.length === 1 ? found[0] : undefined;
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
