/** What an operator calls a node or a container, as an end of a path. Pure. */

import { TwillError } from "../errors.ts";
import { backendDataOf, type Lease, publicIpOf, subnetOf } from "../lease/lease.ts";
import { containsIp, formatCidr } from "../net/cidr.ts";
import { type Family, formatIp, type Ip, parseIp, sameIp } from "../net/ip.ts";
import { nearest } from "../text/nearest.ts";
import type { PathEnd } from "./evidence.ts";

/** `text`: a node's name, a machine's address, or an address of the container network. */
export function resolveEnd(text: string, leases: readonly Lease[]): PathEnd {
  const ip = parseIp(text);
  const end = ip === undefined ? byName(text, leases) : byAddress(ip, leases);
  if (end !== undefined) return end;
  const names = leases.map(({ node }) => node).filter((node) => node !== "");
  const meant = ip === undefined ? nearest(text, names) : undefined;
  const hint = meant === undefined ? "" : `; did you mean ${meant}?`;
  throw new TwillError(
    "OPTION_INVALID",
    `"${text}" is no node's name and no address of a node or in a node's subnet${hint} (twillctl leases)`,
  );
}

function byName(name: string, leases: readonly Lease[]): PathEnd | undefined {
  const lease = leases.find(({ node }) => node === name);
  return lease === undefined ? undefined : nodeEnd(lease, lease.subnets.v4 === undefined ? 6 : 4);
}

function byAddress(ip: Ip, leases: readonly Lease[]): PathEnd | undefined {
  const { family } = ip;
  for (const lease of leases) {
    const machine = publicIpOf(lease.attrs, family);
    if (machine !== undefined && sameIp(machine, ip)) return nodeEnd(lease, family);
    const subnet = subnetOf(lease.subnets, family);
    if (subnet === undefined || !containsIp(subnet, ip)) continue;
    return {
      ...nodeEnd(lease, family),
      address: formatIp(ip),
      isContainer: !sameIp(subnet.ip, ip),
    };
  }
  return undefined;
}

/** A node's own address in the container network is its subnet's first, but for host-gw. */
function nodeEnd(lease: Lease, family: Family): PathEnd {
  const subnet = subnetOf(lease.subnets, family);
  const machine = publicIpOf(lease.attrs, family);
  return {
    node: lease.node === "" ? lease.key : lease.node,
    address: subnet === undefined ? "" : formatIp(subnet.ip),
    isContainer: false,
    machine: machine === undefined ? "" : formatIp(machine),
    subnet: subnet === undefined ? "" : formatCidr(subnet),
    vtepMac: vtepMacOf(lease, family),
  };
}

/** In lower case; empty for backends without one. */
export function vtepMacOf(lease: Lease, family: Family): string {
  const found = /"VtepMAC"\s*:\s*"([0-9a-fA-F:]+)"/.exec(backendDataOf(lease.attrs, family));
  return (found?.[1] ?? "").toLowerCase();
}

/** Names of the nodes that share a VTEP MAC with one of the ends. */
export function sharedMacs(ends: readonly PathEnd[], leases: readonly Lease[]): string[] {
  return ends.flatMap(({ vtepMac, address }) => {
    if (vtepMac === "") return [];
    const family = address.includes(":") ? 6 : 4;
    const holders = leases.filter((lease) => vtepMacOf(lease, family) === vtepMac);
    return holders.length > 1 ? holders.map(({ node, key }) => (node === "" ? key : node)) : [];
  });
}
