/** Many peers are programmed in a shape the kernel takes quickly; few look as flannel's do. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CROWDED, isCrowd, spread } from "../../../../agent/plan/crowd.ts";
import { formatObject, objectsOf } from "../../../../agent/plan/kernel-object.ts";
import { makePlanner } from "../../../../agent/plan/make-planner.ts";
import { PlanBook } from "../../../../agent/plan/plan-book.ts";
import type { Lease } from "../../../../common/lease/lease.ts";
import { crowdConfig, crowdLease, crowdLeases } from "../../../support/crowd.ts";
import { plannerInput } from "../../../support/leases.ts";

function freshBook(): PlanBook {
  const made = makePlanner(plannerInput(crowdConfig()));
  assert.equal(made.kind, "planner");
  return new PlanBook(made.planner, crowdLease(0));
}

function routes(book: PlanBook): readonly string[] {
  return objectsOf(book.state()).flatMap((item) =>
    item.kind === "route" ? [formatObject(item)] : [],
  );
}

const isSpread = (route: string): boolean => / metric [0-9]+/.test(route);
const keysOf = (leases: readonly Lease[]): string[] => leases.map(({ key }) => key);

describe("a crowd of peers", () => {
  it("begins above a number and ends below a smaller one", () => {
    assert.equal(isCrowd(false, CROWDED.above), false);
    assert.equal(isCrowd(false, CROWDED.above + 1), true);
    assert.equal(isCrowd(true, CROWDED.notBelow), true);
    assert.equal(isCrowd(true, CROWDED.notBelow - 1), false);
  });

  it("has routes spread evenly over metrics, one per subnet", () => {
    const book = freshBook();
    book.update(crowdLeases(1, 4096), []);
    const all = routes(book);
    assert.equal(all.length, 4096);
    assert.ok(all.every(isSpread));
    const perMetric = new Map<string, number>();
    for (const route of all) {
      const metric = / metric ([0-9]+)/.exec(route)?.[1] ?? "";
      perMetric.set(metric, (perMetric.get(metric) ?? 0) + 1);
    }
    assert.deepEqual(new Set(perMetric.values()), new Set([4]));
  });

  it("turns every route when it begins and when it ends, adding before it removes", () => {
    const book = freshBook();
    book.update(crowdLeases(1, CROWDED.above), []);
    assert.ok(!routes(book).some(isSpread));
    const begins = book.update([crowdLease(CROWDED.above + 1)], []);
    const added = begins.puts.map(formatObject).filter(isSpread);
    assert.equal(added.length, CROWDED.above + 1);
    assert.equal(begins.removes.length, CROWDED.above);
    assert.ok(begins.removes.every((item) => item.kind === "route"));
    assert.ok(!begins.removes.map(formatObject).some(isSpread));

    const gone = crowdLeases(CROWDED.notBelow, CROWDED.above + 2 - CROWDED.notBelow);
    const ends = book.update([], keysOf(gone));
    assert.equal(ends.puts.length, CROWDED.notBelow - 1);
    assert.ok(!routes(book).some(isSpread));
  });

  it("changes one lease as cheaply as ever", () => {
    const book = freshBook();
    book.update(crowdLeases(1, 3000), []);
    const delta = book.update([crowdLease(3001)], []);
    assert.deepEqual([delta.puts.length, delta.removes.length], [3, 0]);
    assert.deepEqual(
      book
        .update([], [crowdLease(3001).key])
        .removes.filter((item) => item.kind === "route")
        .map(formatObject)
        .map(isSpread),
      [true],
    );
  });

  it("leaves alone what is no route, has no gateway, or has a metric", () => {
    const book = freshBook();
    book.update([crowdLease(1)], []);
    for (const item of objectsOf(book.state())) {
      const same = formatObject(spread(item)) === formatObject(item);
      assert.equal(same, item.kind !== "route");
    }
  });
});
