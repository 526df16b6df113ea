/** The devices of a plan with checksum offload off, where the operator asked for it. Pure. */
import type { LinkSpec } from "./kernel-state.ts";

/** A TUN device offloads to our own packet loop, which computes what is missing. */
export function withoutTxChecksum(link: LinkSpec): LinkSpec {
  return link.kind === "tun" ? link : { ...link, txChecksumOff: true };
}
