/**
 * Decides what a node's registration means, from plain data. The order matters:
 *
 *   0. A node that was drained gets nothing until it is let in again.
 *   1. A node is its name. A public address or previous subnet that another node has is
 *      refused, both named: two machines must never share a lease (flannel's do, contract 1.4).
 *   2. The lease it holds stays its lease: reused, updated in place, or, when it lies
 *      outside the network or has another length, moved.
 *   3. A lease without a Twill holder but with the node's PublicIP is its own: a reservation
 *      made for it, or what a real flannel ran under on this machine (contract 1.4.2, 1.5).
 *   4. No key with an IPv6 half is made while a real flannel node of IPv4 alone could read it:
 *      it would freeze there, silently (contract 1.10). The operator may say otherwise.
 *   5. The subnet it had before, then the lowest free one (contract 1.4.3, 1.4.4).
 */
import { type NetworkConfig, rangeOf } from "../../common/config/network-config.ts";
import type { ErrorCode } from "../../common/errors.ts";
import {
  type Lease,
  type LeaseAttrs,
  NO_ETCD_LEASE,
  publicIpOf,
  type Subnets,
} from "../../common/lease/lease.ts";
import { formatSubnetKey, parseSubnetKey } from "../../common/lease/subnet-key.ts";
import { formatCidr } from "../../common/net/cidr.ts";
import { type Family, formatIp, type Ip, sameIp } from "../../common/net/ip.ts";
import { allocate, fitsConfig, mayStay, type Taken } from "./allocate.ts";
import type { HeldLease, LeaseBook } from "./lease-book.ts";

export interface RegistrationRequest {
  readonly node: string;
  readonly attrs: LeaseAttrs;
  /** From the node's subnet.env. */
  readonly previous: Subnets | undefined;
}

export interface Refusal {
  readonly kind: "refuse";
  readonly code: ErrorCode;
  readonly message: string;
}

export type Decision =
  /** The lease stands as asked; nothing to write. */
  | { readonly kind: "reuse"; readonly held: HeldLease }
  /** Other attributes on the same key and etcd lease. */
  | { readonly kind: "update"; readonly held: HeldLease; readonly attrs: LeaseAttrs }
  /** A reservation made for this node: it keeps having no etcd lease. */
  | { readonly kind: "claim"; readonly held: HeldLease; readonly attrs: LeaseAttrs }
  /** A real flannel's lease of the same machine: from now on a Twill lease with its own etcd lease. */
  | { readonly kind: "take-over"; readonly held: HeldLease; readonly attrs: LeaseAttrs }
  /** A new lease; `instead` goes in the same transaction. */
  | {
      readonly kind: "allocate";
      readonly subnets: Subnets;
      readonly attrs: LeaseAttrs;
      readonly hinted: boolean;
      readonly instead: HeldLease | undefined;
    }
  | Refusal;

export interface LeasePolicy {
  /** --ipv6-beside-flannel */
  readonly ipv6BesideFlannel: boolean;
}

const STRICT: LeasePolicy = { ipv6BesideFlannel: false };

export function decide(
  request: RegistrationRequest,
  book: LeaseBook,
  config: NetworkConfig,
  policy = STRICT,
): Decision {
  const attrs = attrsFor(config, request.attrs);
  const drained = book.record(request.node)?.record.drained ?? "";
  if (drained !== "") {
    const way = `"twillctl node undrain ${request.node}" lets it in again`;
    return refuse("NODE_DRAINED", `node ${request.node} was drained at ${drained}; ${way}`);
  }
  const refusal = missingAddress(request.node, attrs, config) ?? takenAddress(request, attrs, book);
  if (refusal !== undefined) return refusal;
  const held = book.held(request.node);
  if (held !== undefined && mayStay(held.lease.subnets, config)) {
    const isSame = sameAttrs(held.lease.attrs, attrs);
    return isSame ? { kind: "reuse", held } : { kind: "update", held, attrs };
  }
  const own = held ?? ownedByAddress(attrs, book, config);
  if (own !== undefined && fitsConfig(own.lease.subnets, config)) {
    return { kind: own.etcdLease === NO_ETCD_LEASE ? "claim" : "take-over", held: own, attrs };
  }
  const frozen = policy.ipv6BesideFlannel ? undefined : wouldFreeze(request, book, config, own);
  return frozen ?? allocateAnew({ ...request, attrs }, book, config, own);
}

/** This machine's own flannel lease is about to go, and does not count. */
function wouldFreeze(
  { node, attrs }: RegistrationRequest,
  book: LeaseBook,
  config: NetworkConfig,
  own: HeldLease | undefined,
): Refusal | undefined {
  if (config.v6 === undefined) return undefined;
  const others = [...book.ipv4OnlyFlannel()].filter(
    ({ lease }) => lease.key !== own?.lease.key && !isSameHost(lease.attrs, attrs),
  );
  const [first] = others;
  if (first === undefined) return undefined;
  return refuse(
    "LEASE_CONFLICT",
    `node ${node} waits for its IPv6 subnet: ${others.length} real flannel node(s) still run without ` +
      `IPv6 (${holderText({ key: first.lease.key, lease: first.lease })}), and would take no change ` +
      "any more once they read a lease with an IPv6 half; restart each flanneld with the new config, " +
      "or delete the leases of those that are gone, or run the controllers with --ipv6-beside-flannel",
  );
}

function isSameHost(a: LeaseAttrs, b: LeaseAttrs): boolean {
  return a.publicIp !== undefined && sameOptionalIp(a.publicIp, b.publicIp);
}

/** A family that the network does not have is not advertised: `&v6` keys wedge flannel (contract 1.10). */
export function attrsFor(config: NetworkConfig, attrs: LeaseAttrs): LeaseAttrs {
  const { v4, v6 } = config;
  return {
    publicIp: v4 === undefined ? undefined : attrs.publicIp,
    publicIpv6: v6 === undefined ? undefined : attrs.publicIpv6,
    backendType: attrs.backendType,
    backendData: v4 === undefined ? "" : attrs.backendData,
    backendV6Data: v6 === undefined ? "" : attrs.backendV6Data,
  };
}

function missingAddress(
  node: string,
  attrs: LeaseAttrs,
  config: NetworkConfig,
): Refusal | undefined {
  const families: readonly Family[] = [4, 6];
  const missing = families.find(
    (family) => rangeOf(config, family) !== undefined && publicIpOf(attrs, family) === undefined,
  );
  if (missing === undefined) return undefined;
  const option = missing === 4 ? "--public-ip" : "--public-ipv6";
  return refuse(
    "OPTION_INVALID",
    `node ${node} gave no public IPv${missing} address, but the network config enables IPv${missing}: ` +
      `give the node one with ${option} or --iface`,
  );
}

function takenAddress(
  request: RegistrationRequest,
  attrs: LeaseAttrs,
  book: LeaseBook,
): Refusal | undefined {
  for (const ip of addressesOf(attrs)) {
    const other = book
      .withPublicIp(ip)
      .find(({ lease }) => lease.node !== "" && lease.node !== request.node);
    if (other === undefined) continue;
    const { node, key } = other.lease;
    return refuse(
      "LEASE_CONFLICT",
      `node ${request.node} asks with public address ${formatIp(ip)}, which node ${node} advertises ` +
        `for its lease ${key}: give one of them another address (--public-ip), ` +
        `or release node ${node} if it is gone`,
    );
  }
  return undefined;
}

/** A lease nobody of ours holds that advertises the node's address; what fits, and reservations, first. */
function ownedByAddress(
  attrs: LeaseAttrs,
  book: LeaseBook,
  config: NetworkConfig,
): HeldLease | undefined {
  const rank = ({ lease, etcdLease }: HeldLease): number =>
    (fitsConfig(lease.subnets, config) ? 0 : 2) + (etcdLease === NO_ETCD_LEASE ? 0 : 1);
  return addressesOf(attrs)
    .flatMap((ip) => book.withPublicIp(ip))
    .filter(({ lease }) => lease.node === "")
    .toSorted((a, b) => rank(a) - rank(b) || compareKeys(a.lease, b.lease))
    .at(0);
}

function allocateAnew(
  request: RegistrationRequest,
  book: LeaseBook,
  config: NetworkConfig,
  outgrown: HeldLease | undefined,
): Decision {
  const { node, attrs, previous } = request;
  const conflict = previousTaken(request, book, config, outgrown);
  if (conflict !== undefined) return conflict;
  const remembered = parseSubnetKey(book.record(node)?.record.subnet ?? "");
  const hints = [previous, remembered].filter((hint) => hint !== undefined);
  // A reservation is honoured for ever, also when the config no longer allows handing it out.
  const instead = outgrown?.etcdLease === NO_ETCD_LEASE ? undefined : outgrown;
  const allocation = allocate(book.taken, hints, instead?.lease.subnets);
  if (allocation.kind === "exhausted") return exhausted(node, book, config, allocation.family);
  const { subnets, hinted } = allocation;
  return { kind: "allocate", subnets, attrs, hinted, instead };
}

/** Somebody else sits in the subnet this node's containers still use: that must be seen, not skipped. */
function previousTaken(
  request: RegistrationRequest,
  book: LeaseBook,
  config: NetworkConfig,
  outgrown: HeldLease | undefined,
): Refusal | undefined {
  const { node, previous } = request;
  if (previous === undefined || !fitsConfig(previous, config)) return undefined;
  if (isFree(previous, book.taken)) return undefined;
  const other = book.overlapping(previous).find(({ key }) => key !== outgrown?.lease.key);
  if (other === undefined) return undefined;
  return refuse(
    "SUBNET_TAKEN",
    `node ${node} asks for its previous subnet ${formatSubnetKey(previous)}, which overlaps ` +
      `${holderText(other)}: register without a previous subnet to get another one, ` +
      "or release the other holder",
  );
}

function isFree({ v4, v6 }: Subnets, taken: Taken): boolean {
  const free4 = v4 === undefined || (taken.v4?.isFree(v4) ?? false);
  return free4 && (v6 === undefined || (taken.v6?.isFree(v6) ?? false));
}

function exhausted(node: string, book: LeaseBook, config: NetworkConfig, family: Family): Refusal {
  const range = rangeOf(config, family);
  const blocks = (family === 4 ? book.taken.v4 : book.taken.v6)?.count().blocks ?? 0;
  const where =
    range === undefined
      ? ""
      : ` of length /${range.subnetLen} in ${formatCidr(range.network)} ` +
        `(${formatIp(range.subnetMin)} to ${formatIp(range.subnetMax)}, ${blocks} in all)`;
  return refuse(
    "LEASE_EXHAUSTED",
    `out of subnets: node ${node} cannot get a subnet${where}; ` +
      "release nodes that are gone, or give the config a larger Network or SubnetLen",
  );
}

function holderText(other: { key: string; lease: Lease | undefined }): string {
  if (other.lease === undefined) return `key subnets/${other.key} (whose value is not a lease)`;
  const { node, attrs } = other.lease;
  const address = addressesOf(attrs).map(formatIp).join(", ");
  const holder = node === "" ? "a holder outside Twill" : `node ${node}`;
  return `lease ${other.key} of ${holder} (public address ${address === "" ? "unknown" : address})`;
}

function addressesOf(attrs: LeaseAttrs): readonly Ip[] {
  return [attrs.publicIp, attrs.publicIpv6].filter((ip) => ip !== undefined);
}

export function sameAttrs(a: LeaseAttrs, b: LeaseAttrs): boolean {
  return (
    sameOptionalIp(a.publicIp, b.publicIp) &&
    sameOptionalIp(a.publicIpv6, b.publicIpv6) &&
    a.backendType === b.backendType &&
    a.backendData === b.backendData &&
    a.backendV6Data === b.backendV6Data
  );
}

function sameOptionalIp(a: Ip | undefined, b: Ip | undefined): boolean {
  return a === undefined || b === undefined ? a === b : sameIp(a, b);
}

function compareKeys(a: Lease, b: Lease): number {
  return a.key < b.key ? -1 : 1;
}

function refuse(code: ErrorCode, message: string): Refusal {
  return { kind: "refuse", code, message };
}
