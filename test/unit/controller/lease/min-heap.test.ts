/** The heap behind the free list and the keep-alive schedule. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { MinHeap } from "../../../../controller/lease/min-heap.ts";

describe("the heap", () => {
  it("gives items back in order, whatever order they came in", () => {
    fc.assert(
      fc.property(fc.array(fc.integer()), (items) => {
        const heap = new MinHeap<number>((item) => item);
        for (const item of items) heap.push(item);
        assert.equal(heap.size, items.length);
        const drained = items.map(() => heap.pop());
        assert.deepEqual(
          drained,
          items.toSorted((a, b) => a - b),
        );
        assert.equal(heap.pop(), undefined);
      }),
    );
  });
});
