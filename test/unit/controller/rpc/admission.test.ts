/** The gate: so many at once, the rest in order, and never more waiting than allowed. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Admission } from "../../../../controller/rpc/admission.ts";

describe("the gate of new connections", () => {
  it("lets so many in at once, the rest in order, and refuses beyond", () => {
    const gate = new Admission<string>({ inFlight: 2, inFlightOfOne: 2, ...WAITING });
    const arrivals = ["a", "b", "c", "d", "e"].map((connection) => gate.arrive(connection, "s"));
    assert.deepEqual(arrivals, ["enter", "enter", "wait", "wait", "refuse"]);
    assert.equal(gate.settle("b"), "c");
    assert.equal(gate.settle("b"), undefined, "only once");
    assert.equal(gate.settle("d"), undefined, "gave up while waiting");
    assert.equal(gate.settle("a"), undefined, "nobody waits");
    assert.equal(gate.arrive("f", "s"), "enter");
  });

  it("gives nobody every place, and lets sources take turns", () => {
    const limits = { inFlight: 3, inFlightOfOne: 2, waiting: 9, waitingOfOne: 4 };
    const gate = new Admission<string>(limits);
    const flood = Array.from({ length: 7 }, (_, index) => gate.arrive(`f${index}`, "flood"));
    assert.deepEqual(flood, ["enter", "enter", "wait", "wait", "wait", "wait", "refuse"]);
    assert.equal(gate.arrive("g0", "good"), "enter", "one place is left for others");
    assert.equal(gate.arrive("g1", "good"), "wait");
    assert.equal(gate.arrive("h0", "other"), "wait");
    assert.equal(gate.settle("f0"), "f2", "the flood was first in the queue");
    assert.equal(gate.settle("f1"), "g1", "now it is the others' turn");
    assert.equal(gate.settle("g0"), "h0");
    assert.equal(gate.settle("f2"), "f3");
  });

  it("never has more on the way than its limit, and forgets nobody", () => {
    const step = fc.record({ settles: fc.boolean(), pick: fc.nat() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
        const model = new Model();
        for (const [id, { settles, pick }] of steps.entries()) {
          if (settles) model.settle(pick);
          else model.arrive(id);
          assert.ok(model.inFlight.size <= 3 && model.waiting.size <= 5);
          for (const source of SOURCES) {
            const own = [...model.inFlight].filter((one) => sourceOf(one) === source).length;
            const waits = [...model.waiting].some((one) => sourceOf(one) === source);
            assert.ok(own <= 2);
            assert.ok(model.inFlight.size === 3 || own === 2 || !waits, "nobody waits for nothing");
          }
        }
      }),
    );
  });
});

const WAITING = { waiting: 2, waitingOfOne: 2 } as const;
const SOURCES = [0, 1, 2] as const;

function sourceOf(id: number): number {
  return id % SOURCES.length;
}

/** The gate beside what it should know. */
class Model {
  readonly #gate = new Admission<number>({
    ...{ inFlight: 3, inFlightOfOne: 2, waiting: 5, waitingOfOne: 4 },
  });
  readonly inFlight = new Set<number>();
  readonly waiting = new Set<number>();

  arrive(id: number): void {
    const answer = this.#gate.arrive(id, String(sourceOf(id)));
    if (answer === "enter") this.inFlight.add(id);
    if (answer === "wait") this.waiting.add(id);
  }

  settle(pick: number): void {
    const all = [...this.inFlight, ...this.waiting];
    const leaving = all[pick % Math.max(all.length, 1)];
    if (leaving === undefined) return;
    this.inFlight.delete(leaving);
    this.waiting.delete(leaving);
    const next = this.#gate.settle(leaving);
    if (next === undefined) return;
    this.inFlight.add(next);
    assert.ok(this.waiting.delete(next), "who enters had waited");
  }
}
