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

  it("allows one slip in four letters and two in more", () => {
    assert.equal(nearest("Tyqe", known), "Type");
    assert.equal(nearest("Tyqx", known), undefined);
    assert.equal(nearest("Netwo", known), "Network");
    assert.equal(nearest("Netwxxk", known), "Network");
    assert.equal(nearest("Netxxxk", known), undefined);
    assert.equal(nearest("Ports", ["Prots"]), "Prots");
    assert.equal(nearest("Poxxs", ["Ports"]), "Ports");
  });

  it("takes the first of two that are equally near", () => {
    assert.equal(nearest("SubnetMxn", ["SubnetMin", "SubnetMan"]), "SubnetMin");
  });

  it("does not turn one word into another", () => {
    assert.equal(nearest("Comment", known), undefined);
    assert.equal(nearest("MTU", known), undefined);
    assert.equal(nearest("VNX", known), "VNI");
  });

  it("does not compare words longer than any of ours", () => {
    assert.equal(nearest("x".repeat(64), ["x".repeat(64)]), "x".repeat(64));
    assert.equal(nearest("x".repeat(65), ["x".repeat(65)]), undefined);
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
