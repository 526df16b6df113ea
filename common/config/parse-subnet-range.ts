/**
 * Where subnets of one family come from: flannel's defaults and checks (contract 1.8), the
 * same code for both families, plus checks for what flannel lets through and then trips over.
 */
import {
  type Cidr,
  cidr,
  containsIp,
  formatCidr,
  lastAddress,
  overlaps,
  parseCidr,
  parseInterfaceAddress,
} from "../net/cidr.ts";
import { addressBits, type Family, formatIp, type Ip, isUnspecified, parseIp } from "../net/ip.ts";
import { type JsonFields, show } from "./json-fields.ts";
import type { SubnetRange } from "./network-config.ts";

interface FamilyRules {
  readonly family: Family;
  readonly prefixOfKeys: "" | "IPv6";
  readonly enable: string;
  /** Longest subnet prefix with four addresses. */
  readonly maxSubnetLen: number;
  /** Length taken when none is given and the network has room for it. */
  readonly usualSubnetLen: number;
  readonly example: string;
  /** Networks whose addresses the kernel never routes between machines. */
  readonly unusable: readonly { readonly network: Cidr; readonly what: string }[];
}

const RULES: Record<Family, FamilyRules> = {
  4: {
    family: 4,
    prefixOfKeys: "",
    enable: "EnableIPv4",
    maxSubnetLen: 30,
    usualSubnetLen: 24,
    example: "10.244.0.0/16",
    unusable: unusable([
      ["0.0.0.0/8", '"this network"'],
      ["127.0.0.0/8", "loopback"],
      ["169.254.0.0/16", "link-local"],
      ["224.0.0.0/4", "multicast"],
    ]),
  },
  6: {
    family: 6,
    prefixOfKeys: "IPv6",
    enable: "EnableIPv6",
    maxSubnetLen: 126,
    usualSubnetLen: 64,
    example: "fd00:10:244::/48",
    unusable: unusable([
      ["::/96", "unspecified and loopback"],
      ["::ffff:0:0/96", "IPv4-mapped"],
      ["fe80::/10", "link-local"],
      ["ff00::/8", "multicast"],
    ]),
  },
};

/** Already reported; 0 means "not given", as in flannel. */
const WRONG_LEN = -1;

/** Reads the keys of one family; undefined when the family is off or the range is not valid. */
export function parseSubnetRange(
  fields: JsonFields,
  family: Family,
  enabled: boolean,
): SubnetRange | undefined {
  const rules = RULES[family];
  const key = (name: string): string => `${rules.prefixOfKeys}${name}`;
  const network = readNetwork(fields, rules, key("Network"));
  const asked = fields.integer(key("SubnetLen"), {
    min: 0,
    max: rules.maxSubnetLen,
    fallback: 0,
    ifWrong: WRONG_LEN,
    rule: `must be less than /${rules.maxSubnetLen + 1}`,
  });
  const min = readAddress(fields, rules, key("SubnetMin"));
  const max = readAddress(fields, rules, key("SubnetMax"));
  if (!enabled) {
    warnOfUnused(fields, rules, key("Network"));
    return undefined;
  }
  if (network === "absent") {
    fields.report.problem(
      fields.path(key("Network")),
      `please define a correct ${key("Network")}, for example "${rules.example}"`,
    );
    return undefined;
  }
  if (network === "wrong") return undefined;
  const subnetLen = subnetLenOf(fields, rules, network, asked);
  if (subnetLen === undefined) return undefined;
  const first = { family, value: network.ip.value + sizeOf(family, subnetLen) };
  const last = { family, value: lastAddress(network) - sizeOf(family, subnetLen) + 1n };
  const bounds = { network, subnetLen, subnetMin: min ?? first, subnetMax: max ?? last };
  const minFits = fits(fields, key("SubnetMin"), bounds, bounds.subnetMin);
  const maxFits = fits(fields, key("SubnetMax"), bounds, bounds.subnetMax);
  if (minFits && maxFits && bounds.subnetMin.value > bounds.subnetMax.value) {
    fields.report.problem(
      fields.path(key(min === undefined ? "SubnetMax" : "SubnetMin")),
      `${key("SubnetMin")} ${formatIp(bounds.subnetMin)} is above ${key("SubnetMax")} ${formatIp(bounds.subnetMax)}: no subnet would be left`,
    );
  }
  return bounds;
}

function readNetwork(
  fields: JsonFields,
  rules: FamilyRules,
  name: string,
): Cidr | "absent" | "wrong" {
  const field = fields.get(name);
  if (field === undefined) return "absent";
  const text = typeof field.value === "string" ? field.value : "";
  const parsed = parseInterfaceAddress(text);
  if (parsed === undefined || parsed.ip.family !== rules.family) {
    fields.report.problem(
      field.path,
      `${name} must be an IPv${rules.family} network in quotes such as "${rules.example}", not ${show(field.value)}`,
    );
    return "wrong";
  }
  const network = cidr(parsed.ip, parsed.prefix);
  if (network.prefix === 0 && isUnspecified(network.ip)) return "absent";
  if (network.ip.value !== parsed.ip.value) {
    fields.report.warn(field.path, `${text} has host bits set; ${formatCidr(network)} is used`);
  }
  const clash = rules.unusable.find((range) => overlaps(range.network, network));
  if (clash === undefined) return network;
  fields.report.problem(
    field.path,
    `${formatCidr(network)} overlaps the ${clash.what} addresses ${formatCidr(clash.network)}, which cannot be routed; choose a private network such as "${rules.example}"`,
  );
  return "wrong";
}

/** An explicit bound; the all-zero address means "not given", as in flannel. */
function readAddress(fields: JsonFields, rules: FamilyRules, name: string): Ip | undefined {
  const field = fields.get(name);
  if (field === undefined) return undefined;
  const ip = typeof field.value === "string" ? parseIp(field.value) : undefined;
  if (ip === undefined || ip.family !== rules.family) {
    fields.report.problem(
      field.path,
      `${name} must be an IPv${rules.family} address in quotes, not ${show(field.value)}`,
    );
    return undefined;
  }
  return isUnspecified(ip) ? undefined : ip;
}

function subnetLenOf(
  fields: JsonFields,
  rules: FamilyRules,
  network: Cidr,
  asked: number,
): number | undefined {
  const name = `${rules.prefixOfKeys}SubnetLen`;
  const limit = rules.maxSubnetLen;
  if (asked === 0) {
    if (network.prefix <= limit - 2) {
      const usual = rules.usualSubnetLen;
      return network.prefix <= usual - 2 ? usual : network.prefix + 2;
    }
    fields.report.problem(
      fields.path(`${rules.prefixOfKeys}Network`),
      `the network ${formatCidr(network)} is too small: the minimum useful network prefix is /${limit - 2}`,
    );
    return undefined;
  }
  if (asked === WRONG_LEN) return undefined;
  if (asked < network.prefix + 2) {
    fields.report.problem(
      fields.path(name),
      `the network must be able to accommodate at least four subnets: ${formatCidr(network)} needs a ${name} of at least ${network.prefix + 2}, not ${asked}`,
    );
    return undefined;
  }
  return asked;
}

function fits(fields: JsonFields, name: string, range: SubnetRange, ip: Ip): boolean {
  const { network, subnetLen } = range;
  if (!containsIp(network, ip)) {
    fields.report.problem(
      fields.path(name),
      `${name} ${formatIp(ip)} is not in the range of the network ${formatCidr(network)}`,
    );
    return false;
  }
  const start = cidr(ip, subnetLen).ip;
  if (start.value === ip.value) return true;
  fields.report.problem(
    fields.path(name),
    `${name} is not on a SubnetLen boundary: ${formatIp(ip)} lies inside ${formatIp(start)}/${subnetLen}; use ${formatIp(start)}`,
  );
  return false;
}

/** A network that is written but switched off is nearly always an oversight. */
function warnOfUnused(fields: JsonFields, rules: FamilyRules, name: string): void {
  if (fields.get(name) === undefined) return;
  const value = rules.family === 6 ? "not true" : "false";
  fields.report.warn(
    fields.path(name),
    `${name} has no effect because ${rules.enable} is ${value}`,
  );
}

function sizeOf(family: Family, subnetLen: number): bigint {
  return 1n << BigInt(addressBits(family) - subnetLen);
}

function unusable(
  rows: readonly (readonly [text: string, what: string])[],
): { network: Cidr; what: string }[] {
  return rows.flatMap(([text, what]) => {
    const network = parseCidr(text);
    return network === undefined ? [] : [{ network, what }];
  });
}
