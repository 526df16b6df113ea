/**
 * The packet-filter rules of a node, as one abstract list per family. Both writers (iptables
 * and nftables) render the same list, so both modes do the same by construction; in flannel
 * they do not (contract 4.2: its nftables mode masquerades nothing that enters the overlay
 * from the host, and tests the mark without its mask).
 */
import { type NetworkConfig, rangeOf } from "../../common/config/network-config.ts";
import { type Subnets, subnetOf } from "../../common/lease/lease.ts";
import type { Cidr } from "../../common/net/cidr.ts";
import { type Family, ip4, ip6 } from "../../common/net/ip.ts";

export interface NetworkMatch {
  readonly network: Cidr;
  readonly negated: boolean;
}

export interface FirewallRule {
  /** Packet mark under a mask; undefined: any. */
  readonly mark: number | undefined;
  readonly source: NetworkMatch | undefined;
  readonly destination: NetworkMatch | undefined;
  readonly verdict: "return" | "accept" | "masquerade";
}

export interface FamilyFirewall {
  readonly family: Family;
  /** Whose rules are ours to replace: the network now and those before. */
  readonly networks: readonly Cidr[];
  /** In postrouting, in order; empty: none of ours may be there. */
  readonly masquerade: readonly FirewallRule[];
  /** In forward, in order; empty: none of ours may be there. */
  readonly forward: readonly FirewallRule[];
}

export interface FirewallPlan {
  readonly mode: "iptables" | "nftables";
  /** Both, used or not: what is not used is cleaned. */
  readonly families: readonly FamilyFirewall[];
  readonly randomFully: boolean;
}

export interface FirewallOptions {
  /** --ip-masq */
  readonly masquerade: boolean;
  /** --iptables-forward-rules */
  readonly forwardRules: boolean;
  /** Not --ip-masq-fully-random-disable. */
  readonly randomFully: boolean;
}

/** kube-proxy's "masquerade this" mark: such packets are its business (contract 4.1). */
export const FOREIGN_MARK = 0x4000;

const FAMILIES: readonly Family[] = [4, 6];
const MULTICAST: Readonly<Record<Family, Cidr>> = {
  4: { ip: ip4(0xe000_0000n), prefix: 4 },
  6: { ip: ip6(0xff00n << 112n), prefix: 8 },
};

/** `own`: this node's subnets. `previous`: networks of an earlier config or run. */
export function planFirewall(
  config: NetworkConfig,
  own: Subnets,
  options: FirewallOptions,
  previous: readonly Cidr[] = [],
): FirewallPlan {
  return {
    mode: config.enableNFTables ? "nftables" : "iptables",
    randomFully: options.randomFully,
    families: FAMILIES.map((family) => {
      const network = rangeOf(config, family)?.network;
      const subnet = subnetOf(own, family);
      const inUse = network !== undefined && subnet !== undefined;
      return {
        family,
        networks: [network, ...previous].filter(
          (known): known is Cidr => known !== undefined && known.ip.family === family,
        ),
        masquerade: inUse && options.masquerade ? masqueradeRules(network, subnet) : [],
        forward: network !== undefined && options.forwardRules ? forwardRules(network) : [],
      };
    }),
  };
}

/** A plan that leaves nothing of ours in either mode; for `cleanup`. */
export function noFirewall(networks: readonly Cidr[]): FirewallPlan {
  return {
    mode: "iptables",
    randomFully: false,
    families: FAMILIES.map((family) => ({
      family,
      networks: networks.filter((network) => network.ip.family === family),
      masquerade: [],
      forward: [],
    })),
  };
}

/** Contract 4.1, rules 2 to 7 in its order; the comments say what each is for. */
function masqueradeRules(network: Cidr, subnet: Cidr): FirewallRule[] {
  const is = (cidr: Cidr): NetworkMatch => ({ network: cidr, negated: false });
  const not = (cidr: Cidr): NetworkMatch => ({ network: cidr, negated: true });
  const rule = (
    source: NetworkMatch | undefined,
    destination: NetworkMatch | undefined,
    verdict: FirewallRule["verdict"],
  ): FirewallRule => ({ mark: undefined, source, destination, verdict });
  const multicast = MULTICAST[network.ip.family];
  return [
    // Somebody else decides about these.
    { mark: FOREIGN_MARK, source: undefined, destination: undefined, verdict: "return" },
    // Container to container keeps its address, both ways.
    rule(is(subnet), is(network), "return"),
    rule(is(network), is(subnet), "return"),
    // From outside to our containers: what others forwarded to us arrives as it is.
    rule(not(network), is(subnet), "return"),
    // Container to outside.
    rule(is(network), not(multicast), "masquerade"),
    // The host itself to a container elsewhere: the answer must find back to this node.
    rule(not(network), is(network), "masquerade"),
  ];
}

/** Docker and others set FORWARD's policy to DROP. */
function forwardRules(network: Cidr): FirewallRule[] {
  const match = { network, negated: false };
  const rule = { mark: undefined, verdict: "accept" as const };
  return [
    { ...rule, source: match, destination: undefined },
    { ...rule, source: undefined, destination: match },
  ];
}
