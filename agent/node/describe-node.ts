/** What /debug/state shows of a node, as plain data. */
import { VERSION } from "../../common/version.ts";
import type { LeaseHolder } from "../lease/lease-holder.ts";
import type { PeerTable } from "../peers/peer-table.ts";
import type { ConfigIntake } from "./config-intake.ts";
import type { ControllerLog } from "./controller-log.ts";
import type { NodeStatus } from "./node-status.ts";

export interface DescribedNode {
  readonly node: string;
  readonly status: NodeStatus;
  readonly controllers: ControllerLog;
  readonly lease: LeaseHolder;
  readonly table: PeerTable;
  readonly config: ConfigIntake;
}

export function describeNode(parts: DescribedNode): Readonly<Record<string, unknown>> {
  const { node, status, controllers, lease, table, config } = parts;
  const { state, reason } = status.state();
  return {
    version: VERSION,
    node,
    state,
    reason,
    controller: controllers.controller,
    leader: controllers.leader,
    away_ms: controllers.awayMs(),
    lease: lease.lease?.key,
    is_lease_confirmed: lease.isHeld,
    table: { ...table.position, leases: table.size, in_sync: table.isInSync },
    config_revision: config.accepted?.revision,
    config_step: config.accepted?.mark,
  };
}
