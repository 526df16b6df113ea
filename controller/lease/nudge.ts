/**
 * Puts the keys of Twill's nodes again, as they are, one after the other. Real flannel nodes
 * up to v0.20 lose watch events that come in one response (contract 1.7, 9) and never look again; a put
 * of what they missed heals them. Nothing else happens by it: the value and the etcd lease stay, agents and
 * journal hear of nothing, and a key that has changed meanwhile is left alone.
 */
import type { Clock } from "../../common/async/clock.ts";
import { TwillError } from "../../common/errors.ts";
import type { Logger } from "../../common/log.ts";
import type { Entry, Leadership, Store } from "../store/store.ts";
import { subnetKey } from "../view/keys.ts";
import type { LeaseView } from "../view/lease-view.ts";

export interface NudgeParts {
  readonly store: Pick<Store, "transact">;
  readonly view: LeaseView;
  readonly clock: Clock;
  readonly log: Logger;
  /** In which every key is put once; 0: never. */
  readonly intervalMs: number;
}

/** However many keys there are: every flannel node hears of every put. */
export const NUDGE_PACE_MS = 20;

/** Runs until the leadership ends. */
export async function nudgeForEver(parts: NudgeParts, leadership: Leadership): Promise<void> {
  const { clock, intervalMs } = parts;
  const { signal } = leadership;
  try {
    while (intervalMs > 0) {
      const keys = ownKeys(parts.view);
      const paceMs = Math.max(intervalMs / Math.max(keys.length, 1), NUDGE_PACE_MS);
      let nudged = 0;
      for (const key of keys) {
        await clock.sleep(paceMs, signal);
        if (await nudge(key, parts, leadership)) nudged += 1;
      }
      if (keys.length === 0) await clock.sleep(paceMs, signal);
      const message = `${nudged} of ${keys.length} leases were put again as they were`;
      parts.log.event("leases.nudged", message, { leases: keys.length, nudged });
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

function ownKeys({ table }: LeaseView): readonly string[] {
  const own = [...table.rows.values()].filter(({ lease }) => lease.node !== "");
  return own.map(({ lease }) => lease.key).toSorted();
}

/** False when there was nothing to put, or it could not be. */
async function nudge(key: string, parts: NudgeParts, leadership: Leadership): Promise<boolean> {
  const { store, view } = parts;
  const entry = view.table.entry(subnetKey(key));
  const isOurs = (view.table.rows.get(key)?.lease.node ?? "") !== "";
  if (entry === undefined || !isOurs) return false;
  try {
    const outcome = await store.transact(putAgain(entry, leadership), leadership.signal);
    return outcome.kind === "committed";
  } catch (error) {
    leadership.signal.throwIfAborted();
    // A fault of etcd is told by those who need it; the next round comes to every key again.
    if (TwillError.from(error).code === "BUG") throw error;
    return false;
  }
}

/**
 * Should it arrive late, it finds the key unchanged and changes nothing, or fails: by its mod
 * revision, by the fence, or because its etcd lease is gone.
 */
function putAgain(
  entry: Entry,
  { key: fence, token }: Leadership,
): Parameters<Store["transact"]>[0] {
  const { key, value, etcdLease, modRevision } = entry;
  return {
    compares: [
      { key: fence, createRevision: token },
      { key, modRevision },
    ],
    writes: [{ op: "put", key, value, etcdLease }],
    onConflict: [],
  };
}
