/** Two moments of config and leases compared: which keys came, went or changed, and by whom. Pure. */
import type { KeyState, Past, PastKey } from "../../proto/gen/twill/v1/history.ts";

export interface KeyDifference {
  readonly key: string;
  readonly change: "added" | "removed" | "changed";
  readonly before: string;
  readonly after: string;
  /** Of the change that made it what it is at the later moment; empty: not known. */
  readonly by: string;
  readonly revision: number;
}

export function comparePasts(before: Past, after: Past): readonly KeyDifference[] {
  const old = new Map(before.keys.map((one) => [one.key, one]));
  const young = new Map(after.keys.map((one) => [one.key, one]));
  const keys = [...new Set([...old.keys(), ...young.keys()])].sort();
  return keys.flatMap((key) => compareKey(key, old.get(key), young.get(key)));
}

function compareKey(
  key: string,
  before: PastKey | undefined,
  after: PastKey | undefined,
): readonly KeyDifference[] {
  const [old, young] = [textOf(before?.state), textOf(after?.state)];
  if (old === young) return [];
  const change = before === undefined ? "added" : after === undefined ? "removed" : "changed";
  const { changedBy: by = "", changedRevision: revision = 0 } = after ?? {};
  return [{ key, change, before: old, after: young, by, revision }];
}

/** A reservation differs from a lease of the same value. */
function textOf(state: KeyState | undefined): string {
  if (state === undefined) return "";
  return state.forever ? state.value : `${state.value} (on an etcd lease)`;
}
