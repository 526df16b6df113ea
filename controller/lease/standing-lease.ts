/**
 * The lease that answers a registration without anybody having to write: it is held by the
 * node, fits the config and says what the node says. Any replica can tell from its table, so
 * a fleet that reconnects needs no leader.
 */
import type { NetworkConfig } from "../../common/config/network-config.ts";
import type { LeaseTable } from "../view/lease-table.ts";
import { decide, type RegistrationRequest } from "./decide.ts";
import type { HeldLease, LeaseBook } from "./lease-book.ts";

export function standingLease(
  request: RegistrationRequest,
  table: LeaseTable,
  config: NetworkConfig,
): HeldLease | undefined {
  const book: LeaseBook = {
    held: (node) => table.heldBy(node),
    withPublicIp: (ip) => table.withPublicIp(ip),
    record: (node) => table.record(node),
    // Only asked when something is to be given out, which is not decided here.
    taken: { v4: undefined, v6: undefined },
    overlapping: () => [],
    ipv4OnlyFlannel: () => [],
  };
  const decision = decide(request, book, config);
  return decision.kind === "reuse" ? decision.held : undefined;
}
