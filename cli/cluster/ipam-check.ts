/** What is wrong with the leases of the network, each finding with a stable code. Pure. */
import { rangeOf, type SubnetRange } from "../../common/config/network-config.ts";
import { backendDataOf, publicIpOf, subnetOf } from "../../common/lease/lease.ts";
import { containsCidr, containsIp, formatCidr, lastAddress } from "../../common/net/cidr.ts";
import { type Family, formatIp } from "../../common/net/ip.ts";
import { FAMILIES, type HeldLease, type Ipam, measure } from "./ipam.ts";

export interface Finding {
  readonly code: string;
  readonly message: string;
}

/** From this share of taken subnets on, new nodes will soon be refused. */
const NEARLY_FULL = 0.9;
/** Leases that one finding names. */
const MOST_NAMED = 5;

export function checkIpam(ipam: Ipam): Finding[] {
  return [
    ...ipam.malformed.map((message) => ({ code: "KEY_MALFORMED", message })),
    ...FAMILIES.flatMap((family) => [
      ...missing(ipam, family),
      ...ipam.leases.flatMap((held) => checkSubnet(ipam, held, family)),
      ...overlapping(ipam.leases, family),
      ...duplicates(ipam.leases, "PUBLIC_IP_DUPLICATE", ({ lease }) => publicIp(lease, family)),
      ...duplicates(ipam.leases, "VTEP_MAC_DUPLICATE", ({ lease }) => {
        const mac = vtepMac(backendDataOf(lease.attrs, family));
        return mac === "" ? "" : `${mac} (IPv${family})`;
      }),
    ]),
    ...duplicates(ipam.leases, "NODE_DUPLICATE", ({ lease }) => lease.node),
    ...ipam.leases.flatMap((held) => checkBackend(ipam, held)),
    ...nearlyFull(ipam),
  ];
}

/**
 * One finding for all: a family that was switched on a moment ago is missing everywhere, and
 * stays so while the controllers hold IPv6 back beside real flannel nodes (contract 1.10).
 */
function missing({ config, leases }: Ipam, family: Family): Finding[] {
  if (rangeOf(config, family) === undefined) return [];
  const keys = leases
    .map(({ lease }) => lease)
    .filter(({ subnets }) => subnetOf(subnets, family) === undefined)
    .map(({ key }) => key);
  if (keys.length === 0) return [];
  const rest = keys.length - MOST_NAMED;
  const named = keys.slice(0, MOST_NAMED).join(", ") + (rest > 0 ? ` and ${rest} more` : "");
  const message = `${keys.length} of ${leases.length} leases have no IPv${family} subnet: ${named}`;
  return [{ code: "FAMILY_MISSING", message }];
}

function checkSubnet(ipam: Ipam, { lease }: HeldLease, family: Family): Finding[] {
  const range = rangeOf(ipam.config, family);
  const subnet = subnetOf(lease.subnets, family);
  if (range === undefined || subnet === undefined) return [];
  const network = formatCidr(range.network);
  const address = publicIpOf(lease.attrs, family);
  const inside =
    address !== undefined && containsIp(range.network, address)
      ? [
          {
            code: "PUBLIC_IP_INSIDE",
            message: `${lease.key}: ${formatIp(address)} is in ${network}`,
          },
        ]
      : [];
  if (!containsCidr(range.network, subnet)) {
    return [{ code: "SUBNET_OUTSIDE", message: `${lease.key} is not in ${network}` }, ...inside];
  }
  if (subnet.prefix !== range.subnetLen) {
    const message = `${lease.key} is a /${subnet.prefix}, the config says /${range.subnetLen}`;
    return [{ code: "SUBNET_LENGTH", message }, ...inside];
  }
  return [...checkBounds(lease.key, subnet.ip.value, range), ...inside];
}

function checkBounds(key: string, first: bigint, range: SubnetRange): Finding[] {
  if (first >= range.subnetMin.value && first <= range.subnetMax.value) return [];
  const [min, max] = [formatIp(range.subnetMin), formatIp(range.subnetMax)];
  return [{ code: "SUBNET_UNALLOCATABLE", message: `${key} is not between ${min} and ${max}` }];
}

/** In order of address, each against the one that reaches furthest so far. */
function overlapping(leases: readonly HeldLease[], family: Family): Finding[] {
  const subnets = leases
    .flatMap(({ lease }) => {
      const subnet = subnetOf(lease.subnets, family);
      return subnet === undefined ? [] : [{ key: lease.key, subnet }];
    })
    .sort((a, b) => Number(a.subnet.ip.value > b.subnet.ip.value) * 2 - 1);
  const findings: Finding[] = [];
  let widest: (typeof subnets)[number] | undefined;
  for (const next of subnets) {
    if (widest !== undefined && next.subnet.ip.value <= lastAddress(widest.subnet)) {
      findings.push({
        code: "SUBNET_OVERLAP",
        message: `${widest.key} and ${next.key} (IPv${family})`,
      });
    }
    if (widest === undefined || lastAddress(next.subnet) > lastAddress(widest.subnet))
      widest = next;
  }
  return findings;
}

/** One finding per value that more than one lease has; an empty value is none. */
function duplicates(
  leases: readonly HeldLease[],
  code: string,
  read: (held: HeldLease) => string,
): Finding[] {
  const keys = new Map<string, string[]>();
  for (const held of leases) {
    const value = read(held);
    if (value !== "") keys.set(value, [...(keys.get(value) ?? []), held.lease.key]);
  }
  return [...keys]
    .filter(([, having]) => having.length > 1)
    .map(([value, having]) => ({ code, message: `${value}: ${having.join(", ")}` }));
}

function publicIp(lease: HeldLease["lease"], family: Family): string {
  const address = publicIpOf(lease.attrs, family);
  return address === undefined ? "" : formatIp(address);
}

/** In lower case; empty when there is none. */
function vtepMac(json: string): string {
  const data = parseJson(json);
  if (typeof data !== "object" || data === null || !("VtepMAC" in data)) return "";
  return typeof data.VtepMAC === "string" ? data.VtepMAC.toLowerCase() : "";
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Peers of another backend are skipped by every node. Empty: udp, alloc and bare reservations. */
function checkBackend(ipam: Ipam, { lease }: HeldLease): Finding[] {
  const { type } = ipam.config.backend;
  const { backendType } = lease.attrs;
  if (backendType === "" || backendType.toLowerCase() === type) return [];
  return [{ code: "BACKEND_OTHER", message: `${lease.key} is for ${backendType}, not ${type}` }];
}

function nearlyFull(ipam: Ipam): Finding[] {
  return measure(ipam)
    .filter(({ used, subnets }) => used >= subnets * NEARLY_FULL)
    .map(({ network, used, subnets }) => ({
      code: "RANGE_NEARLY_FULL",
      message: `${used} of ${subnets} subnets of ${network} are taken`,
    }));
}
