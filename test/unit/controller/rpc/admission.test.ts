/** The gate: so many at once, the rest in order, and never more waiting than allowed. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Admission } from "../../../../controller/rpc/admission.ts";

describe("the gate of new connections", () => {
  it("lets so many in at once, the rest in order, and refuses beyond", () => {
    const gate = new Admission<string>({ inFlight: 2, waiting: 2 });
    const arrivals = ["a", "b", "c", "d", "e"].map((connection) => gate.arrive(connection));
    assert.deepEqual(arrivals, ["enter", "enter", "wait", "wait", "refuse"]);
    assert.equal(gate.settle("b"), "c");
    assert.equal(gate.settle("b"), undefined, "only once");
    assert.equal(gate.settle("d"), undefined, "gave up while waiting");
    assert.equal(gate.settle("a"), undefined, "nobody waits");
    assert.equal(gate.arrive("f"), "enter");
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
          assert.ok(
            model.inFlight.size === 3 || model.waiting.size === 0,
            "nobody waits for nothing",
          );
        }
      }),
    );
  });
});

/** The gate beside what it should know. */
class Model {
  readonly #gate = new Admission<number>({ inFlight: 3, waiting: 5 });
  readonly inFlight = new Set<number>();
  readonly waiting = new Set<number>();

  arrive(id: number): void {
    const answer = this.#gate.arrive(id);
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
