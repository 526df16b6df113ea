/** The lowest lease key holds a claim, whoever came first. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { ClaimBook } from "../../../../agent/plan/claim-book.ts";

it("gives a claim to the lowest key and names the rivals", () => {
  const book = new ClaimBook();
  for (const key of ["c", "a", "b", "a"]) book.add("MAC 1", key);
  assert.deepEqual(
    ["a", "b", "c", "d"].map((key) => book.holds("MAC 1", key)),
    [true, false, false, false],
  );
  assert.deepEqual(book.rivals("MAC 1", "b"), ["a", "c"]);
  assert.deepEqual(book.rivals("MAC 2", "b"), []);
});

it("passes a claim on when its holder lets go", () => {
  const book = new ClaimBook();
  book.add("MAC 1", "a");
  book.add("MAC 1", "b");
  book.remove("MAC 1", "a");
  assert.equal(book.holds("MAC 1", "b"), true);
  book.remove("MAC 1", "b");
  assert.equal(book.holds("MAC 1", "b"), false);
  book.remove("MAC 1", "b");
});
