/**
 * The cluster as an operator thinks of it, merged from what each controller knows: every
 * replica knows all leases, but only the nodes whose streams it serves. Pure.
 */
import type {
  LeaseStatus,
  NodeStatus,
  Status,
  Warning,
} from "../../proto/gen/twill/v1/operator.ts";
import type { Answer } from "../connection/operator-client.ts";

export type NodeCondition = "ready" | "behind" | "failing" | "lost";

export interface NodeView {
  readonly node: string;
  readonly condition: NodeCondition;
  /** Why it is not ready; empty when it is. */
  readonly reason: string;
  readonly subnet: string;
  readonly publicIp: string;
  readonly backend: string;
  readonly version: string;
  /** Replica that serves its stream; empty when lost. */
  readonly controller: string;
  readonly appliedRevision: number;
  /** Revisions between the newest change and what its kernel has. */
  readonly behind: number;
  readonly driftRepaired: number;
}

export interface ControllerView {
  readonly controller: string;
  readonly leads: boolean;
  readonly state: string;
  readonly revision: number;
  readonly nodes: number;
}

export interface ClusterView {
  readonly leader: string;
  readonly revision: number;
  /** Lowest revision that every live node's kernel has. */
  readonly appliedRevision: number;
  readonly controllers: readonly ControllerView[];
  readonly nodes: readonly NodeView[];
  readonly leases: readonly LeaseStatus[];
  readonly warnings: readonly Warning[];
  readonly healthy: boolean;
}

export function viewCluster(answers: readonly Answer<Status>[]): ClusterView {
  const statuses = answers.flatMap((answer) => (answer.kind === "answer" ? [answer.value] : []));
  const newest = newestStatus(answers);
  const revision = newest?.revision ?? 0;
  const leases = newest?.leases ?? [];
  const leader = statuses.find((status) => status.leader !== "")?.leader ?? "";
  const nodes = viewNodes(statuses, leases, revision);
  const live = nodes.filter((node) => node.condition !== "lost");
  const warnings = [...statuses.flatMap((s) => s.warnings), ...silentWarnings(answers, leader)];
  return {
    leader,
    revision,
    appliedRevision: Math.min(revision, ...live.map((node) => node.appliedRevision)),
    controllers: answers.map((answer) => viewController(answer, leader)),
    nodes,
    leases,
    warnings: distinct(warnings),
    healthy: warnings.length === 0 && nodes.every((node) => node.condition === "ready"),
  };
}

/** Every replica knows all leases; the one with the highest revision knows best. */
export function newestStatus(answers: readonly Answer<Status>[]): Status | undefined {
  return answers.reduce<Status | undefined>(
    (best, answer) =>
      answer.kind === "answer" && answer.value.revision >= (best?.revision ?? 0)
        ? answer.value
        : best,
    undefined,
  );
}

function viewController(answer: Answer<Status>, leader: string): ControllerView {
  if (answer.kind === "silent") {
    const { controller, reason } = answer;
    return { controller, leads: false, state: reason, revision: 0, nodes: 0 };
  }
  const { value } = answer;
  return {
    controller: value.controller,
    leads: value.controller === leader,
    state: value.store,
    revision: value.revision,
    nodes: value.nodes.length,
  };
}

/** Every node that holds a lease or a stream, by name. */
function viewNodes(
  statuses: readonly Status[],
  leases: readonly LeaseStatus[],
  revision: number,
): NodeView[] {
  const streams = new Map<string, { status: NodeStatus; controller: string }>();
  for (const status of statuses) {
    for (const node of status.nodes) {
      const known = streams.get(node.node);
      if (known === undefined || node.connectedSeconds < known.status.connectedSeconds) {
        streams.set(node.node, { status: node, controller: status.controller });
      }
    }
  }
  const held = new Map(leases.map((lease) => [lease.lease?.node ?? "", lease]));
  held.delete("");
  const names = [...new Set([...streams.keys(), ...held.keys()])].sort();
  return names.map((name) => viewNode(name, held.get(name), streams.get(name), revision));
}

function viewNode(
  node: string,
  lease: LeaseStatus | undefined,
  stream: { status: NodeStatus; controller: string } | undefined,
  revision: number,
): NodeView {
  const status = stream?.status;
  const applied = status?.appliedRevision ?? 0;
  return {
    node,
    ...conditionOf(status, revision),
    subnet: lease?.lease?.key ?? "",
    publicIp: lease?.lease?.publicIp ?? "",
    backend: lease?.lease?.backendType ?? "",
    version: status?.version ?? "",
    controller: stream?.controller ?? "",
    appliedRevision: applied,
    behind: status === undefined ? 0 : Math.max(0, revision - applied),
    driftRepaired: status?.driftRepaired ?? 0,
  };
}

function conditionOf(
  status: NodeStatus | undefined,
  revision: number,
): { condition: NodeCondition; reason: string } {
  if (status === undefined) return { condition: "lost", reason: "no controller has its stream" };
  const [failure] = status.failures;
  if (failure !== undefined) {
    const more = status.failures.length > 1 ? ` (and ${status.failures.length - 1} more)` : "";
    const reason = `${failure.kind} ${failure.key}: ${failure.code} ${failure.message}${more}`;
    return { condition: "failing", reason };
  }
  if (status.appliedRevision < revision) {
    return { condition: "behind", reason: status.reason === "" ? status.state : status.reason };
  }
  return { condition: "ready", reason: "" };
}

function silentWarnings(answers: readonly Answer<Status>[], leader: string): Warning[] {
  const silent = answers.flatMap((answer) =>
    answer.kind === "silent"
      ? [{ code: "CONTROLLER_SILENT", message: `${answer.controller}: ${answer.reason}` }]
      : [],
  );
  if (leader !== "") return silent;
  const message = "nobody leads: running nodes go on, new ones wait; is etcd healthy?";
  return [...silent, { code: "NO_LEADER", message }];
}

function distinct(warnings: readonly Warning[]): Warning[] {
  return [...new Map(warnings.map((w) => [`${w.code} ${w.message}`, w])).values()];
}
