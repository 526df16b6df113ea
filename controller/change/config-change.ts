/**
 * The plan of a new network config: whether it is valid, which nodes would have to move, and
 * whether traffic stops. What each node's kernel would do only its agent can say. Pure.
 */
import type { BackendConfig } from "../../common/config/backend-config.ts";
import { parseNetworkConfig } from "../../common/config/parse-network-config.ts";
import { stateOf } from "../journal/told-keys.ts";
import { formatProblems } from "../view/config-follower.ts";
import { CONFIG_KEY, ROLLOUT_KEY } from "../view/keys.ts";
import type { LeaseTable } from "../view/lease-table.ts";
import { planBackendChange } from "./backend-change.ts";
import { type ChangeContext, type Planned, refusedChange } from "./change.ts";
import { basisOf, put } from "./lease-changes.ts";
import { movedNodes } from "./moved-nodes.ts";

export function planConfig(table: LeaseTable, json: string, context: ChangeContext): Planned {
  const parsed = parseNetworkConfig(json);
  if (parsed.kind === "invalid") {
    const problems = formatProblems(parsed.problems);
    return refusedChange("CONFIG_INVALID", `the new config is invalid: ${problems}`);
  }
  const before = table.config;
  if (before?.value === json) return { kind: "nothing", reason: "the config is this already" };
  const { config } = parsed;
  if (table.entry(ROLLOUT_KEY) !== undefined) {
    const what = "a change of backend is under way; twillctl config history shows how far it is";
    return refusedChange("PLAN_STALE", what);
  }
  const live = before && planBackendChange({ table, before, json, config }, context);
  if (live !== undefined) return live;
  const moved = movedNodes(table, config);
  const after = { value: json, forever: true };
  return {
    kind: "plan",
    action: "config.applied",
    subject: CONFIG_KEY,
    steps: [
      "the config key is written; controllers tell every agent at once",
      ...backendSteps(context.config?.backend, config.backend),
      ...moved.map(({ node, key }) => `MOVES: node ${node} leaves ${key} for another subnet`),
    ],
    warnings: [
      ...parsed.warnings.map(({ path, message }) => `${path}: ${message}`),
      ...(moved.length === 0 ? [] : [`containers of ${moved.length} node(s) must be restarted`]),
      ...interruptions(context.config?.backend, config.backend),
    ],
    basis: [before === undefined ? { key: CONFIG_KEY, revision: 0 } : basisOf(before)],
    writes: [put(CONFIG_KEY, json)],
    config: json,
    changes: [{ key: CONFIG_KEY, before: before && stateOf(before), after }],
  };
}

function backendSteps(before: BackendConfig | undefined, after: BackendConfig): readonly string[] {
  if (before === undefined || before.type === after.type) return [];
  return [`every node leaves backend ${before.type} for ${after.type}`];
}

/** DirectRouting only changes which way a peer is routed, and a route is replaced in one step. */
function interruptions(before: BackendConfig | undefined, after: BackendConfig): readonly string[] {
  if (before === undefined || sameBackend(before, after)) return [];
  return [
    "nodes that have it already do not reach those that have not: traffic stops for a moment",
  ];
}

function sameBackend(before: BackendConfig, after: BackendConfig): boolean {
  return textOf(before) === textOf(after);
}

function textOf(backend: BackendConfig): string {
  return JSON.stringify({ ...backend, directRouting: undefined });
}
