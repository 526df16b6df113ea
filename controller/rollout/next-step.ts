/**
 * How a change of backend goes on, from what the nodes say: prepared everywhere, then switched,
 * then done; undone when a node refuses or time is up. Pure: whoever leads decides the same.
 */
import type { Revision } from "../../common/lease/lease.ts";
import type { Rollout } from "../view/rollout.ts";

/** What a node said; undefined: it did not answer, `silence` says why. */
export interface NodeAnswer {
  readonly node: string;
  readonly state:
    | {
        /** Step that its kernel equals. */
        readonly mark: string;
        /** Newest step that it has heard of; `problem` is of that one. */
        readonly heard: string;
        readonly revision: Revision;
        readonly problem: string;
      }
    | undefined;
  readonly silence: string;
}

export interface RolloutFacts {
  /** One for every node that holds a lease. */
  readonly answers: readonly NodeAnswer[];
  /** Nodes whose lease is not of the backend that the config key names. */
  readonly otherLeases: readonly string[];
  /** Of the newest change of a lease: whoever has applied it sends the new way. */
  readonly leaseRevision: Revision;
  /** ISO 8601. */
  readonly now: string;
}

export type RolloutStep =
  | { readonly kind: "wait"; readonly for: readonly string[] }
  | { readonly kind: "switch" }
  | { readonly kind: "return"; readonly reason: string }
  | { readonly kind: "end"; readonly isDone: boolean; readonly reason: string };

export function nextStep(rollout: Rollout, facts: RolloutFacts): RolloutStep {
  const waiting = waitedFor(rollout, facts);
  const { phase } = rollout;
  if (phase === "return") {
    const isOver = waiting.length === 0 || facts.now > rollout.deadline;
    return isOver
      ? { kind: "end", isDone: false, reason: rollout.reason }
      : { kind: "wait", for: waiting };
  }
  const reason = problemOf(rollout, facts) ?? lateness(rollout, facts, waiting);
  if (reason !== undefined) {
    return phase === "prepare"
      ? { kind: "end", isDone: false, reason }
      : { kind: "return", reason };
  }
  if (waiting.length > 0) return { kind: "wait", for: waiting };
  return phase === "prepare" ? { kind: "switch" } : { kind: "end", isDone: true, reason: "" };
}

/** Each node that keeps the step from being complete, and why. */
function waitedFor(rollout: Rollout, facts: RolloutFacts): readonly string[] {
  const { answers, otherLeases, leaseRevision } = facts;
  const isSwitching = rollout.phase !== "prepare";
  return answers.flatMap(({ node, state, silence }) => {
    if (state === undefined) return [`${node}: ${silence}`];
    if (state.mark !== rollout.mark) return [`${node}: its kernel is not ready`];
    if (!isSwitching) return [];
    if (otherLeases.includes(node)) return [`${node}: its lease is still the other backend's`];
    return state.revision < leaseRevision ? [`${node}: it has not applied all leases`] : [];
  });
}

function problemOf(rollout: Rollout, { answers }: RolloutFacts): string | undefined {
  const refusing = answers.find(
    ({ state }) => state !== undefined && state.heard === rollout.mark && state.problem !== "",
  );
  return refusing && `node ${refusing.node} refuses: ${refusing.state?.problem}`;
}

function lateness(
  { deadline }: Rollout,
  { now }: RolloutFacts,
  waiting: readonly string[],
): string | undefined {
  return now > deadline && waiting.length > 0
    ? `not within the time: ${waiting.slice(0, 5).join("; ")}`
    : undefined;
}
