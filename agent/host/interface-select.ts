/**
 * Chooses the external interface and its addresses as flannel does (contract 5), over
 * listings already read from the kernel. Pure: the same listings give the same answer.
 */

import { assertNever } from "../../common/errors.ts";
import { type Family, formatIp, type Ip, parseIp, sameIp } from "../../common/net/ip.ts";
import type { AddressState, LinkState, RouteLookup } from "../kernel/kernel.ts";
import type { ExternalInterface } from "../plan/host-facts.ts";
import { addressesOf, preferredAddress } from "./address-preference.ts";

/** What the operator asked for, in the order it is tried. */
export interface InterfaceWish {
  /** --iface: names or addresses. */
  readonly ifaces: readonly string[];
  /** --iface-regex: unanchored, over addresses, then over names. */
  readonly regexes: readonly RegExp[];
  /** --iface-can-reach. */
  readonly canReach: Ip | undefined;
  readonly publicIp: Ip | undefined;
  readonly publicIpv6: Ip | undefined;
}

/** What the kernel says; read by host-facts.ts. */
export interface HostListing {
  /** In index order; devices of ours left out. */
  readonly links: readonly LinkState[];
  readonly addresses: readonly AddressState[];
  /** Interface of the first default route; "": there is one, without a single interface. */
  readonly defaultDevice: { readonly v4: string | undefined; readonly v6: string | undefined };
  /** Answer of the route look-up for --iface-can-reach. */
  readonly reach: RouteLookup | undefined;
}

export type InterfaceChoice =
  | {
      readonly kind: "selected";
      readonly external: ExternalInterface;
      readonly publicIp: Ip | undefined;
      readonly publicIpv6: Ip | undefined;
      /** What decided, for the log: "--iface eth0", "the default route". */
      readonly because: string;
    }
  | { readonly kind: "none"; readonly message: string };

/** One way of choosing; they are tried in order. */
type Attempt =
  | { readonly by: "iface"; readonly value: string; readonly option: string }
  | { readonly by: "regex"; readonly pattern: RegExp }
  | { readonly by: "can-reach"; readonly target: Ip }
  | { readonly by: "default-route" };

type Outcome =
  | { readonly link: LinkState; readonly addresses: readonly Ip[] }
  | { readonly problem: string };

/** Chooses for a network of these families (one or both). */
export function selectInterface(
  wish: InterfaceWish,
  families: readonly Family[],
  listing: HostListing,
): InterfaceChoice {
  const problems: string[] = [];
  for (const attempt of attempts(wish, families)) {
    const found = tryAttempt(attempt, families, listing);
    const outcome = "problem" in found ? found : complete(found, families, listing);
    if (!("problem" in outcome)) return selected(outcome, wish, families, describe(attempt));
    problems.push(`${describe(attempt)}: ${outcome.problem}`);
  }
  return { kind: "none", message: problems.join("; ") };
}

/** True when the choice falls to the default route: only then need anybody look for it. */
export function needsDefaultRoute(wish: InterfaceWish, families: readonly Family[]): boolean {
  return attempts(wish, families).some(({ by }) => by === "default-route");
}

/** Any explicit option rules out the rest; a public address alone stands for --iface (contract 5.2). */
function attempts(wish: InterfaceWish, families: readonly Family[]): readonly Attempt[] {
  const explicit: Attempt[] = [
    ...wish.ifaces.map((value): Attempt => ({ by: "iface", value, option: "--iface" })),
    ...wish.regexes.map((pattern): Attempt => ({ by: "regex", pattern })),
  ];
  if (wish.canReach !== undefined) explicit.push({ by: "can-reach", target: wish.canReach });
  if (explicit.length > 0) return explicit;
  if (families.includes(4) && wish.publicIp !== undefined) {
    return [{ by: "iface", value: formatIp(wish.publicIp), option: "--public-ip" }];
  }
  if (families.includes(6) && wish.publicIpv6 !== undefined) {
    return [{ by: "iface", value: formatIp(wish.publicIpv6), option: "--public-ipv6" }];
  }
  return [{ by: "default-route" }];
}

function describe(attempt: Attempt): string {
  switch (attempt.by) {
    case "iface":
      return `${attempt.option} ${attempt.value}`;
    case "regex":
      return `--iface-regex ${attempt.pattern.source}`;
    case "can-reach":
      return `--iface-can-reach ${formatIp(attempt.target)}`;
    case "default-route":
      return "the default route";
    default:
      return assertNever(attempt);
  }
}

function tryAttempt(attempt: Attempt, families: readonly Family[], listing: HostListing): Outcome {
  switch (attempt.by) {
    case "iface":
      return byNameOrAddress(attempt, listing);
    case "regex":
      return byRegex(attempt.pattern, families, listing);
    case "can-reach":
      return byReach(attempt.target, listing);
    case "default-route":
      return byDefaultRoute(families, listing);
    default:
      return assertNever(attempt);
  }
}

function byNameOrAddress(
  attempt: { readonly value: string; readonly option: string },
  listing: HostListing,
): Outcome {
  const wanted = parseIp(attempt.value);
  if (wanted === undefined) return byName(attempt.value, listing);
  const held = listing.addresses.find((address) => sameIp(address.ip, wanted));
  if (held !== undefined) return byName(held.device, listing, [held.ip]);
  const nat = attempt.option === "--iface" ? "" : "; behind NAT give --iface as well";
  return { problem: `no interface of this machine holds the address${nat}` };
}

function byName(name: string, listing: HostListing, addresses: readonly Ip[] = []): Outcome {
  const link = listing.links.find((candidate) => candidate.name === name);
  return link === undefined
    ? { problem: `there is no interface named ${name}` }
    : { link, addresses };
}

/** First interface with a matching address of every family; else the first with a matching name. */
function byRegex(pattern: RegExp, families: readonly Family[], listing: HostListing): Outcome {
  for (const link of listing.links) {
    const held = addressesOf(listing.addresses, link.name);
    const matches = families.map((family) =>
      held.find((a) => a.ip.family === family && pattern.test(formatIp(a.ip))),
    );
    const addresses = matches.flatMap((match) => (match === undefined ? [] : [match.ip]));
    if (addresses.length === families.length) return { link, addresses };
  }
  const named = listing.links.find((link) => pattern.test(link.name));
  return named === undefined
    ? { problem: "no address and no interface name matches" }
    : { link: named, addresses: [] };
}

function byReach(target: Ip, listing: HostListing): Outcome {
  if (listing.reach === undefined) return { problem: `no route leads to ${formatIp(target)}` };
  const { device, source } = listing.reach;
  return byName(device, listing, source === undefined ? [] : [source]);
}

function byDefaultRoute(families: readonly Family[], listing: HostListing): Outcome {
  const devices = new Map(
    families.map((family) => [family, listing.defaultDevice[family === 4 ? "v4" : "v6"]]),
  );
  for (const [family, device] of devices) {
    if (device === undefined) return { problem: `there is no IPv${family} default route` };
    if (device === "") {
      return { problem: `the IPv${family} default route has several next hops or no interface` };
    }
  }
  const [first = "", second = first] = devices.values();
  return first === second
    ? byName(first, listing)
    : { problem: `IPv4 leaves by ${first} and IPv6 by ${second}; they must share an interface` };
}

/** Fills the families the attempt did not decide with the interface's preferred address. */
function complete(
  found: { readonly link: LinkState; readonly addresses: readonly Ip[] },
  families: readonly Family[],
  listing: HostListing,
): Outcome {
  const { link } = found;
  if (link.mtuBytes <= 0) return { problem: `interface ${link.name} has no MTU` };
  const addresses: Ip[] = [];
  for (const family of families) {
    const chosen =
      found.addresses.find((ip) => ip.family === family) ??
      preferredAddress(addressesOf(listing.addresses, link.name), family);
    if (chosen === undefined) {
      return { problem: `interface ${link.name} has no usable IPv${family} address` };
    }
    addresses.push(chosen);
  }
  return { link, addresses };
}

function selected(
  found: { readonly link: LinkState; readonly addresses: readonly Ip[] },
  wish: InterfaceWish,
  families: readonly Family[],
  because: string,
): InterfaceChoice {
  const v4 = found.addresses.find((ip) => ip.family === 4);
  const v6 = found.addresses.find((ip) => ip.family === 6);
  return {
    kind: "selected",
    external: {
      name: found.link.name,
      index: found.link.index,
      mtuBytes: found.link.mtuBytes,
      v4,
      v6,
    },
    publicIp: families.includes(4) ? (wish.publicIp ?? v4) : undefined,
    publicIpv6: families.includes(6) ? (wish.publicIpv6 ?? v6) : undefined,
    because,
  };
}

/** True when a change between two choices matters to peers or to the kernel state. */
export function sameChoice(a: InterfaceChoice, b: InterfaceChoice): boolean {
  if (a.kind === "none" || b.kind === "none") {
    return a.kind === "none" && b.kind === "none" && a.message === b.message;
  }
  const same = (x: Ip | undefined, y: Ip | undefined): boolean =>
    x === undefined || y === undefined ? x === y : sameIp(x, y);
  return (
    a.external.name === b.external.name &&
    a.external.index === b.external.index &&
    a.external.mtuBytes === b.external.mtuBytes &&
    same(a.external.v4, b.external.v4) &&
    same(a.external.v6, b.external.v6) &&
    same(a.publicIp, b.publicIp) &&
    same(a.publicIpv6, b.publicIpv6)
  );
}
