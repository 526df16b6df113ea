/** The random helpers of the tests are themselves right: replayable, in range, even. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { randomBelow, randomBytes, seededRandom, shuffled } from "../../support/seeded-random.ts";

describe("seeded random numbers", () => {
  it("are the same for the same seed and others for another", () => {
    const take = (seed: number): number[] => {
      const random = seededRandom(seed);
      return Array.from({ length: 10 }, () => random());
    };
    assert.deepEqual(take(1), take(1));
    assert.notDeepEqual(take(1), take(2));
  });

  it("are spread evenly over their range", () => {
    const random = seededRandom(7);
    const counts = Array<number>(10).fill(0);
    for (let draw = 0; draw < 10_000; draw += 1) {
      const bin = randomBelow(random, 10);
      counts[bin] = (counts[bin] ?? 0) + 1;
    }
    for (const count of counts) assert.ok(count > 850 && count < 1150, counts.join(" "));
  });

  it("shuffle without losing or changing the input", () => {
    const items = Array.from({ length: 50 }, (_, index) => index);
    const mixed = shuffled(items, seededRandom(3));
    assert.notDeepEqual(mixed, items);
    assert.deepEqual(
      mixed.toSorted((a, b) => a - b),
      items,
    );
    assert.equal(randomBytes(seededRandom(1), 6).length, 6);
  });
});
