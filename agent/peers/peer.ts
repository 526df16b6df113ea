/**
 * One family of one lease as a peer of this node: where its containers are and how the node
 * is reached. What every backend must check is checked here, once; backend data is read by
 * the backend's own reader (vtep.ts).
 */
import {
  backendDataOf,
  type Lease,
  publicIpOf,
  type Subnets,
  subnetOf,
} from "../../common/lease/lease.ts";
import { type Cidr, containsCidr, formatCidr, overlaps } from "../../common/net/cidr.ts";
import { type Family, formatIp, type Ip, isUnspecified, sameIp } from "../../common/net/ip.ts";

export interface Peer {
  /** Lease key, unique among peers. */
  readonly key: string;
  /** Twill node name; empty for a real flannel node. */
  readonly node: string;
  readonly family: Family;
  readonly subnet: Cidr;
  readonly publicIp: Ip;
  /** JSON text of this family's backend data, empty when absent. */
  readonly backendData: string;
}

/** What makes a lease ours, a peer's, or nobody's business. */
export interface PeerContext {
  /** Key of this node's own lease. */
  readonly ownKey: string;
  readonly ownSubnets: Subnets;
  readonly ownPublicIp: Ip | undefined;
  readonly ownPublicIpv6: Ip | undefined;
  /** The whole network of each family that is in use. */
  readonly networks: Subnets;
  /** flannel's BackendType text of this network's backend. */
  readonly backendType: string;
}

export type ReadPeer =
  | { readonly kind: "peer"; readonly peer: Peer }
  /** Our own lease, another backend's, or a family that it has not. */
  | { readonly kind: "ignored" }
  | { readonly kind: "invalid"; readonly reason: string };

const IGNORED: ReadPeer = { kind: "ignored" };

export function readPeer(lease: Lease, family: Family, context: PeerContext): ReadPeer {
  const subnet = subnetOf(lease.subnets, family);
  const network = subnetOf(context.networks, family);
  if (subnet === undefined || network === undefined || lease.key === context.ownKey) return IGNORED;
  if (lease.attrs.backendType !== context.backendType) return IGNORED;
  const publicIp = publicIpOf(lease.attrs, family);
  const reason = refusal({ subnet, network, publicIp, family, context });
  if (reason !== undefined) return { kind: "invalid", reason };
  if (publicIp === undefined) return IGNORED;
  const backendData = backendDataOf(lease.attrs, family);
  const { key, node } = lease;
  return { kind: "peer", peer: { key, node, family, subnet, publicIp, backendData } };
}

interface Candidate {
  readonly subnet: Cidr;
  readonly network: Cidr;
  readonly publicIp: Ip | undefined;
  readonly family: Family;
  readonly context: PeerContext;
}

function refusal({ subnet, network, publicIp, family, context }: Candidate): string | undefined {
  const field = family === 4 ? "PublicIP" : "PublicIPv6";
  const own = subnetOf(context.ownSubnets, family);
  const ownIp = family === 4 ? context.ownPublicIp : context.ownPublicIpv6;
  if (!containsCidr(network, subnet)) {
    return `its subnet ${formatCidr(subnet)} is outside the network ${formatCidr(network)}`;
  }
  if (own !== undefined && overlaps(own, subnet)) {
    return `its subnet ${formatCidr(subnet)} overlaps this node's own ${formatCidr(own)}`;
  }
  if (publicIp === undefined || isUnspecified(publicIp)) return `it has no ${field}`;
  if (ownIp !== undefined && sameIp(ownIp, publicIp)) {
    return `its ${field} ${formatIp(publicIp)} is this node's own`;
  }
  return undefined;
}
