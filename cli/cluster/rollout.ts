/** Waits while a change of backend goes through the cluster, and tells each step from the journal. */
import { systemClock } from "../../common/async/clock.ts";
import type { HistoryEntry } from "../../proto/gen/twill/v1/history.ts";
import { EXIT_CODES } from "../exit-codes.ts";
import { readHistory } from "../verbs/history-verbs.ts";
import type { Session } from "../verbs/look-verbs.ts";

const LOOK_MS = 500;

/** `since`: revision at which the change began; returns at once when it was no change of backend. */
export async function awaitRollout(session: Session, since: number): Promise<void> {
  const never = new AbortController().signal;
  let last = since - 1;
  while (since > 0) {
    const { entries } = await readHistory(session, "config", { limit: 0, since: last });
    const steps = entries.filter(({ action }) => action.startsWith("backend."));
    if (steps.length === 0 && last < since) return;
    last = entries.at(-1)?.revision ?? last;
    session.tell(steps.map(stepText));
    const end = steps.find(isEnd);
    if (end !== undefined) {
      if (end.action === "backend.unchanged") session.exit(EXIT_CODES.found.code);
      return;
    }
    await systemClock.sleep(LOOK_MS, never);
  }
}

function isEnd({ action }: HistoryEntry): boolean {
  return action === "backend.changed" || action === "backend.unchanged";
}

function stepText({ revision, action, note }: HistoryEntry): string {
  return `revision ${revision}: ${action}${note === "" ? "" : `: ${note}`}`;
}
