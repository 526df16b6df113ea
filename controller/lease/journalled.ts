/** A planned write of a lease with the journal's entry in the same transaction. */
import type { JournalAction } from "../journal/journal-entry.ts";
import type { JournalPen } from "../journal/journal-pen.ts";
import { type PlannedWrite, type WritingDecision, withWrite } from "./transaction.ts";

const ACTIONS = {
  allocate: "lease.allocated",
  update: "lease.updated",
  claim: "lease.claimed",
  "take-over": "lease.taken-over",
  release: "lease.released",
} as const satisfies Record<WritingDecision["kind"] | "release", JournalAction>;

/** The node itself asked for it, proven by its certificate where there are any. */
export function journalled(
  planned: PlannedWrite,
  pen: JournalPen,
  told: { readonly kind: keyof typeof ACTIONS; readonly at: string },
): PlannedWrite {
  const { name: subject } = planned.write.record;
  const entry = { by: `node/${subject}`, at: told.at, action: ACTIONS[told.kind], subject };
  return withWrite(planned, pen.write({ ...entry, changes: planned.changes }));
}
