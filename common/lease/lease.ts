/**
 * The lease as both sides speak of it: one node's subnet(s), and how peers reach the node.
 * flannel's etcd form of it is in subnet-key.ts and lease-json.ts.
 */
import { type Cidr, overlaps } from "../net/cidr.ts";
import type { Family, Ip } from "../net/ip.ts";

/** An etcd store revision; etcd counts in int64, 2^53 is 28 years at 10 million a second. */
export type Revision = number;

/** Create revision of the leader's election key; compared inside every guarded write. */
export type FencingToken = number;

/** etcd's TTL object: its id as decimal text (int64); "0" means none. */
export type EtcdLeaseId = string;
export const NO_ETCD_LEASE: EtcdLeaseId = "0";

/** What the key says: the subnet of each family a lease holds (at least one). */
export interface Subnets {
  readonly v4: Cidr | undefined;
  readonly v6: Cidr | undefined;
}

/** What the value says (contract 1.2). JSON texts are kept as they stand. */
export interface LeaseAttrs {
  /** undefined stands for flannel's 0.0.0.0 (IPv6-only). */
  readonly publicIp: Ip | undefined;
  readonly publicIpv6: Ip | undefined;
  /** Empty for udp and alloc, which write none. */
  readonly backendType: string;
  /** Compact JSON text, empty when absent. */
  readonly backendData: string;
  readonly backendV6Data: string;
}

export interface Lease {
  /** Key text below `<prefix>/subnets/`; canonical, so equal subnets have equal keys. */
  readonly key: string;
  readonly subnets: Subnets;
  readonly attrs: LeaseAttrs;
  /** Twill node that holds it; empty for real flannel nodes and unclaimed reservations. */
  readonly node: string;
}

export function subnetOf(subnets: Subnets, family: Family): Cidr | undefined {
  return family === 4 ? subnets.v4 : subnets.v6;
}

export function publicIpOf(attrs: LeaseAttrs, family: Family): Ip | undefined {
  return family === 4 ? attrs.publicIp : attrs.publicIpv6;
}

export function backendDataOf(attrs: LeaseAttrs, family: Family): string {
  return family === 4 ? attrs.backendData : attrs.backendV6Data;
}

/** True when they share an address of either family. */
export function subnetsOverlap(a: Subnets, b: Subnets): boolean {
  return halvesOverlap(a.v4, b.v4) || halvesOverlap(a.v6, b.v6);
}

function halvesOverlap(a: Cidr | undefined, b: Cidr | undefined): boolean {
  return a !== undefined && b !== undefined && overlaps(a, b);
}
