/** "Did you mean" suggests for slips and stays silent for different words. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { editDistance, nearest } from "../../../../common/text/nearest.ts";

describe("nearest", () => {
  const known = ["Network", "SubnetLen", "SubnetMin", "VNI", "Type"];

  it("finds the word behind a wrong, missing, extra or swapped letter", () => {
    for (const slip of ["Netwark", "Netwrk", "Nettwork", "Netwrok", "netwoork"]) {
      assert.equal(nearest(slip, known), "Network", slip);
    }
  });

  it("prefers the nearer of two candidates", () => {
    assert.equal(nearest("SubnetLn", known), "SubnetLen");
    assert.equal(nearest("SubnetMn", known), "SubnetMin");
  });

  it("does not turn one word into another", () => {
    assert.equal(nearest("Comment", known), undefined);
    assert.equal(nearest("MTU", known), undefined);
    assert.equal(nearest("VNX", known), "VNI");
  });

  it("does not compare words longer than any of ours", () => {
    const long = "x".repeat(65);
    assert.equal(nearest(long, [long]), undefined);
  });
});

describe("editDistance", () => {
  it("counts a swap of neighbours as one", () => {
    assert.equal(editDistance("ab", "ba"), 1);
    assert.equal(editDistance("kitten", "sitting"), 3);
  });

  it("is zero for equal words only, symmetric, and at most the longer length", () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 12 }), fc.string({ maxLength: 12 }), (a, b) => {
        const distance = editDistance(a, b);
        assert.equal(distance === 0, a === b);
        assert.equal(distance, editDistance(b, a));
        assert.ok(distance <= Math.max(a.length, b.length));
      }),
    );
  });
});
