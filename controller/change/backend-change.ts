/**
 * The plan of a change of backend while everything runs (controller/rollout/ carries it out).
 * Only between backends that were shown to lose no packet in it; others are written at once,
 * with a warning. Pure.
 */
import type { BackendType } from "../../common/config/backend-config.ts";
import type { NetworkConfig } from "../../common/config/network-config.ts";
import { parseNetworkConfig } from "../../common/config/parse-network-config.ts";
import { NO_ETCD_LEASE } from "../../common/lease/lease.ts";
import type { Entry } from "../store/store.ts";
import { ROLLOUT_KEY } from "../view/keys.ts";
import type { LeaseTable } from "../view/lease-table.ts";
import { encodeRollout } from "../view/rollout.ts";
import { type ChangeContext, type Planned, refusedChange } from "./change.ts";
import { basisOf, put } from "./lease-changes.ts";
import { movedNodes } from "./moved-nodes.ts";

/** Backends whose receiving end needs nothing but its device; test/integration/live-change. */
const LIVE: ReadonlySet<BackendType> = new Set<BackendType>(["vxlan", "host-gw"]);

export interface NewConfig {
  readonly table: LeaseTable;
  readonly before: Entry;
  readonly json: string;
  readonly config: NetworkConfig;
}

/** undefined: it is no change of backend, or none that can be made live. */
export function planBackendChange(
  { table, before, json, config }: NewConfig,
  { now, deadline, by }: ChangeContext,
): Planned | undefined {
  const old = parseNetworkConfig(before.value);
  if (old.kind === "invalid") return undefined;
  const [from, to] = [old.config.backend.type, config.backend.type];
  if (from === to || !LIVE.has(from) || !LIVE.has(to)) return undefined;
  if (movedNodes(table, config).length > 0) {
    const what =
      "nodes would have to move to other subnets: change network and backend in two steps";
    return refusedChange("CONFIG_INVALID", what);
  }
  const foreign = [...table.rows.values()].find(
    ({ lease, etcdLease }) => lease.node === "" && etcdLease !== NO_ETCD_LEASE,
  );
  if (foreign !== undefined) {
    const what = `lease ${foreign.lease.key} is a real flannel's, which cannot follow a change of backend`;
    return refusedChange("LEASE_CONFLICT", `${what}: take its node over first`);
  }
  const state = {
    id: now,
    by,
    phase: "prepare",
    from: before.value,
    to: json,
    deadline,
    reason: "",
  };
  return {
    kind: "plan",
    action: "backend.changing",
    subject: "config",
    steps: [
      `every node prepares ${to} beside ${from} and says so`,
      `the config key is written; each node's lease changes to ${to}, and its peers' routes with it`,
      `when every kernel has all of it, ${from} is removed`,
      "no packet is lost; a refusal, or a node that is not ready in time, undoes it",
    ],
    warnings: [],
    basis: [basisOf(before), { key: ROLLOUT_KEY, revision: 0 }],
    writes: [put(ROLLOUT_KEY, encodeRollout({ ...state, phase: "prepare" }))],
    changes: [],
    config: json,
  };
}
