/** Two moments compared: every difference once, a reservation told from a lease. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { comparePasts } from "../../../../cli/cluster/past-diff.ts";
import type { Past } from "../../../../proto/gen/twill/v1/history.ts";

function past(keys: Readonly<Record<string, string>>, forever = true): Past {
  const what = { changedRevision: 7, changedAt: "", changedBy: "operator/alice" };
  return {
    revision: 9,
    keys: Object.entries(keys).map(([key, value]) => ({ key, state: { value, forever }, ...what })),
  };
}

describe("the difference of two moments", () => {
  it("names what came, went and changed, and who made it so", () => {
    const found = comparePasts(past({ a: "1", b: "1", c: "1" }), past({ b: "2", c: "1", d: "1" }));
    assert.deepEqual(
      found.map(({ key, change, by, revision }) => [key, change, by, revision]),
      [
        ["a", "removed", "", 0],
        ["b", "changed", "operator/alice", 7],
        ["d", "added", "operator/alice", 7],
      ],
    );
  });

  it("sees a lease become a reservation", () => {
    const [found] = comparePasts(past({ a: "1" }, false), past({ a: "1" }));
    assert.deepEqual([found?.before, found?.after], ["1 (on an etcd lease)", "1"]);
  });
});
