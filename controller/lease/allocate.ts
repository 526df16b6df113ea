/**
 * Chooses subnets for a node: per family the first hint that is free, else the lowest free
 * subnet. Pure: what is taken comes as Occupancy. flannel picks at random among the first
 * hundred free ones because its nodes race each other; here one leader decides, so the lowest
 * keeps the network dense and the answer predictable.
 */
import { type NetworkConfig, rangeOf } from "../../common/config/network-config.ts";
import { type Subnets, subnetOf } from "../../common/lease/lease.ts";
import { type Cidr, containsCidr } from "../../common/net/cidr.ts";
import type { Family } from "../../common/net/ip.ts";
import { fitsRange, type Occupancy } from "./occupancy.ts";

/** What is taken, for each family that the config enables. */
export interface Taken {
  readonly v4: Occupancy | undefined;
  readonly v6: Occupancy | undefined;
}

export type Allocation =
  | {
      readonly kind: "allocated";
      readonly subnets: Subnets;
      /** Every family got a hinted subnet. */
      readonly hinted: boolean;
    }
  | { readonly kind: "exhausted"; readonly family: Family };

/**
 * `hints`: subnets the node had before, the best first. `own`: what it holds now and gives up
 * for the new lease; each half that fits stays, so that turning IPv6 on renumbers nobody.
 */
export function allocate(taken: Taken, hints: readonly Subnets[], own?: Subnets): Allocation {
  const v4 = keep(taken.v4, own?.v4) ?? choose(taken.v4, hints, 4);
  if (v4 === "exhausted") return { kind: "exhausted", family: 4 };
  const v6 = keep(taken.v6, own?.v6) ?? choose(taken.v6, hints, 6);
  if (v6 === "exhausted") return { kind: "exhausted", family: 6 };
  const subnets = { v4: v4?.subnet, v6: v6?.subnet };
  return {
    kind: "allocated",
    subnets,
    hinted: (v4?.hinted ?? true) && (v6?.hinted ?? true),
  };
}

interface Choice {
  readonly subnet: Cidr;
  readonly hinted: boolean;
}

function keep(occupancy: Occupancy | undefined, own: Cidr | undefined): Choice | undefined {
  const fits = own !== undefined && (occupancy?.fits(own) ?? false);
  return fits ? { subnet: own, hinted: true } : undefined;
}

/** undefined: the network does not have this family. */
function choose(
  occupancy: Occupancy | undefined,
  hints: readonly Subnets[],
  family: Family,
): Choice | undefined | "exhausted" {
  if (occupancy === undefined) return undefined;
  for (const hint of hints) {
    const subnet = subnetOf(hint, family);
    if (subnet !== undefined && occupancy.isFree(subnet)) return { subnet, hinted: true };
  }
  const subnet = occupancy.lowestFree();
  return subnet === undefined ? "exhausted" : { subnet, hinted: false };
}

/** True when a lease is what this config would give: every family of it, and no other. */
export function fitsConfig(subnets: Subnets, config: NetworkConfig): boolean {
  return fitsFamily(subnets, config, 4) && fitsFamily(subnets, config, 6);
}

/**
 * True when a node that holds this lease may keep it: SubnetMin and SubnetMax say what is given
 * out, not who must move (flannel moves nodes then, contract 1.4.2).
 */
export function mayStay(subnets: Subnets, config: NetworkConfig): boolean {
  const families: readonly Family[] = [4, 6];
  return families.every((family) => {
    const [subnet, range] = [subnetOf(subnets, family), rangeOf(config, family)];
    if (subnet === undefined || range === undefined) return subnet === range;
    return subnet.prefix === range.subnetLen && containsCidr(range.network, subnet);
  });
}

function fitsFamily(subnets: Subnets, config: NetworkConfig, family: Family): boolean {
  const subnet = subnetOf(subnets, family);
  const range = family === 4 ? config.v4 : config.v6;
  if (subnet === undefined || range === undefined) return subnet === range;
  return fitsRange(subnet, range);
}
