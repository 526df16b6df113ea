/** Two ends as a path that can be asked about, by the config in force and all leases. Pure. */
import { type NetworkConfig, rangeOf } from "../config/network-config.ts";
import { TwillError } from "../errors.ts";
import type { Lease } from "../lease/lease.ts";
import type { PathEnd } from "./evidence.ts";
import type { PathAsked } from "./gather.ts";
import { sharedMacs } from "./resolve.ts";
import { transportOf } from "./transport.ts";

/** Throws OPTION_INVALID when nothing of Twill lies between the two. */
export function askedPath(
  { config, leases }: { readonly config: NetworkConfig; readonly leases: readonly Lease[] },
  from: PathEnd,
  to: PathEnd,
): PathAsked {
  const family = to.address.includes(":") ? 6 : 4;
  if (from.node === to.node) {
    throw new TwillError(
      "OPTION_INVALID",
      `both ends are on ${from.node}: nothing of Twill is between`,
    );
  }
  if (from.address === "" || to.address === "" || rangeOf(config, family) === undefined) {
    throw new TwillError("OPTION_INVALID", `the ends have no IPv${family} in common`);
  }
  return {
    ...{ from, to, transport: transportOf(config.backend, family) },
    sharedMacs: sharedMacs([from, to], leases),
  };
}
