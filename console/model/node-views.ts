/**
 * Every node that holds a lease or a stream, and how it is: by the same rules as `twillctl
 * status`, with one state more, for nodes of which this controller cannot know. Pure.
 */
import type {
  ConsoleFailure,
  ConsoleLease,
  ConsoleNode,
} from "../../common/console/console-state.ts";
import type { Cluster } from "./cluster.ts";

export type Condition = "ready" | "behind" | "failing" | "lost" | "unseen";

/** Worst first: the order in which people want to hear of them. */
export const CONDITIONS: readonly Condition[] = ["failing", "lost", "behind", "unseen", "ready"];

export const CONDITION_WORDS: Readonly<Record<Condition, string>> = {
  ready: "in step",
  behind: "behind",
  failing: "failing",
  lost: "no stream",
  unseen: "not seen from here",
};

export interface NodeView {
  readonly name: string;
  readonly condition: Condition;
  /** Why it is not ready; "" when it is. */
  readonly reason: string;
  readonly lease: ConsoleLease | undefined;
  /** undefined: no stream of it is known. */
  readonly status: ConsoleNode | undefined;
  /** Revisions between the newest change and what its kernel has. */
  readonly behind: number;
}

const natural = new Intl.Collator("en", { numeric: true });

/** In the order of names, as people count: node9 before node10. */
export function nodeViews(cluster: Cluster): readonly NodeView[] {
  const held = new Map<string, ConsoleLease>();
  for (const lease of cluster.leases.values()) if (lease.node !== "") held.set(lease.node, lease);
  const names = [...new Set([...held.keys(), ...cluster.nodes.keys()])].sort(natural.compare);
  const isWhole = cluster.head.controllers.every(({ isAsked, fault }) => isAsked && fault === "");
  return names.map((name) => viewOf(name, held.get(name), cluster, isWhole));
}

function viewOf(
  name: string,
  lease: ConsoleLease | undefined,
  { nodes, head }: Cluster,
  isWhole: boolean,
): NodeView {
  const status = nodes.get(name);
  const behind = status === undefined ? 0 : Math.max(0, head.revision - status.applied);
  return { name, lease, status, behind, ...conditionOf(status, behind, isWhole) };
}

function conditionOf(
  status: ConsoleNode | undefined,
  behind: number,
  isWhole: boolean,
): Pick<NodeView, "condition" | "reason"> {
  if (status === undefined) {
    return isWhole
      ? {
          condition: "lost",
          reason: "no controller has a stream of it; its kernel goes on as it is",
        }
      : { condition: "unseen", reason: "a controller that does not answer may have its stream" };
  }
  const [failure] = status.failures;
  if (failure !== undefined) {
    return { condition: "failing", reason: failureText(failure, status.failureCount) };
  }
  if (behind === 0) return { condition: "ready", reason: "" };
  return { condition: "behind", reason: status.reason === "" ? status.state : status.reason };
}

function failureText({ kind, key, code, message }: ConsoleFailure, count: number): string {
  const more = count > 1 ? ` (and ${count - 1} more)` : "";
  return `${kind} ${key}: ${code} ${message}${more}`;
}

export type Counts = Readonly<Record<Condition, number>>;

export function countConditions(views: readonly NodeView[]): Counts {
  const counts = { ready: 0, behind: 0, failing: 0, lost: 0, unseen: 0 };
  for (const { condition } of views) counts[condition] += 1;
  return counts;
}
