/** The order of writes: what traffic needs, and nothing moved is ever nowhere. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { inApplyOrder, type OrderedChange } from "../../../../agent/reconcile/apply-order.ts";

const KINDS = ["route", "address", "fdb", "neighbour"] as const;

it("orders every kind of change", () => {
  const changes = KINDS.flatMap((kind): OrderedChange[] => [
    { op: "delete", kind, replaces: false },
    { op: "put", kind, replaces: true },
    { op: "put", kind, replaces: false },
  ]);
  const names = inApplyOrder(changes).map(
    ({ op, kind, replaces }) => `${replaces ? "replace" : op} ${kind}`,
  );
  assert.deepEqual(names, [
    "replace address",
    "put address",
    "put neighbour",
    "put fdb",
    "replace fdb",
    "replace neighbour",
    "put route",
    "replace route",
    "delete route",
    "delete fdb",
    "delete neighbour",
    "delete address",
  ]);
});

it("keeps the given order within a phase", () => {
  const changes = [3, 1, 2].map((n) => ({
    op: "put" as const,
    kind: "fdb" as const,
    replaces: false,
    n,
  }));
  assert.deepEqual(
    inApplyOrder(changes).map(({ n }) => n),
    [3, 1, 2],
  );
});
