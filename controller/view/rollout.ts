/**
 * A change of backend while everything runs, as it stands under twill/rollout: which config
 * is left for which, and how far it is. In the store, so that another leader goes on with it.
 */
import { isJsonObject } from "../../common/config/json-fields.ts";
import type { Revision } from "../../common/lease/lease.ts";
import type { Entry } from "../store/store.ts";

/**
 * prepare: every node makes devices and peers of both; the config key holds `from`.
 * switch: the config key holds `to`; each node changes its lease, and its peers their routes.
 * return: it is undone; the config key holds `from` again.
 */
export type RolloutPhase = "prepare" | "switch" | "return";

export interface RolloutState {
  readonly id: string;
  /** Who asked for it. */
  readonly by: string;
  readonly phase: RolloutPhase;
  /** The configs, byte for byte. */
  readonly from: string;
  readonly to: string;
  /** ISO 8601: undone when it is not done by then. */
  readonly deadline: string;
  /** Why it is undone. */
  readonly reason: string;
}

export interface Rollout extends RolloutState {
  readonly modRevision: Revision;
  /** Names the step to agents and back. */
  readonly mark: string;
}

const PHASES: readonly string[] = ["prepare", "switch", "return"] satisfies RolloutPhase[];

export function encodeRollout(state: RolloutState): string {
  const { id, by, phase, from, to, deadline, reason } = state;
  return JSON.stringify({ id, by, phase, from, to, deadline, reason });
}

/** undefined: there is none, or none that this version can read. */
export function readRollout(entry: Entry | undefined): Rollout | undefined {
  if (entry === undefined) return undefined;
  const json = parsed(entry.value);
  const { id, by, phase, from, to, deadline, reason } = isJsonObject(json) ? json : {};
  if (typeof id !== "string" || typeof by !== "string" || !isPhase(phase)) return undefined;
  if (typeof from !== "string" || typeof to !== "string") return undefined;
  if (typeof deadline !== "string" || typeof reason !== "string") return undefined;
  const { modRevision } = entry;
  return { id, by, phase, from, to, deadline, reason, modRevision, mark: `${id} ${phase}` };
}

function isPhase(text: unknown): text is RolloutPhase {
  return typeof text === "string" && PHASES.includes(text);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
