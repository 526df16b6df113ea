/** What the ack tells besides the revision: everything of the table that is not in the kernel, and why. */
import type { Failure } from "../../proto/gen/twill/v1/fabric.ts";
import type { ReconcileReport } from "../reconcile/node-reconciler.ts";

export function failuresOf({ failures, problems }: ReconcileReport): readonly Failure[] {
  return [
    ...failures.map(({ kind, key, code, message }) => ({ kind, key, code, message })),
    ...problems.map(({ key, reason }) => ({ kind: "peer", key, code: "INVALID", message: reason })),
  ];
}
