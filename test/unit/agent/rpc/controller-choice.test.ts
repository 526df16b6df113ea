/** Agents spread over the controllers, leave a dead one at once, and wait when all are dead. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  ControllerChoice,
  FAILOVER_SPREAD_MS,
  SETTLED_MS,
  WELCOME_PATIENCE_MS,
} from "../../../../agent/rpc/controller-choice.ts";
import { seededRandom } from "../../../support/seeded-random.ts";

const THREE = ["a:1", "b:1", "c:1"];

function rounds(choice: ControllerChoice, count: number): { endpoint: string; delayMs: number }[] {
  return Array.from({ length: count }, () => choice.next());
}

describe("the choice of a controller", () => {
  it("spreads a fleet over all replicas from its first attempt on, without a delay", () => {
    const counts = new Map<string, number>();
    for (let seed = 0; seed < 300; seed += 1) {
      const { endpoint, delayMs } = new ControllerChoice(THREE, seededRandom(seed)).next();
      counts.set(endpoint, (counts.get(endpoint) ?? 0) + 1);
      assert.equal(delayMs, 0);
    }
    for (const endpoint of THREE) assert.ok((counts.get(endpoint) ?? 0) > 60, endpoint);
  });

  it("tries every replica once before it waits", () => {
    const choice = new ControllerChoice(THREE, seededRandom(1));
    const [first, second, third, fourth] = rounds(choice, 4);
    assert.deepEqual([first, second, third].map((a) => a?.endpoint).sort(), THREE);
    assert.ok((second?.delayMs ?? 0) < FAILOVER_SPREAD_MS);
    assert.ok((fourth?.delayMs ?? 0) >= 500);
  });

  it("waits between 500 and 5000 ms a round, longer at first failures, never in step", () => {
    const delays = [1, 2, 3, 4].flatMap((seed) =>
      rounds(new ControllerChoice(["a:1"], seededRandom(seed)), 20)
        .slice(1)
        .map(({ delayMs }) => delayMs),
    );
    assert.ok(Math.min(...delays) >= 500);
    assert.ok(Math.max(...delays) <= 5000);
    assert.equal(new Set(delays).size, delays.length);
  });

  it("leaves a controller that was lost for another at once, and starts the back-off anew", () => {
    const choice = new ControllerChoice(THREE, seededRandom(7));
    rounds(choice, 9);
    choice.ended("b:1", SETTLED_MS);
    const [next, other, last] = rounds(choice, 3);
    assert.notEqual(next?.endpoint, "b:1");
    assert.ok((next?.delayMs ?? 0) < FAILOVER_SPREAD_MS);
    assert.notEqual(other?.endpoint, "b:1");
    assert.equal(last?.endpoint, "b:1");
  });

  it("leaves who does not answer soon in the first round, later in each that failed", () => {
    const choice = new ControllerChoice(THREE, seededRandom(1));
    const patience = Array.from({ length: 12 }, () => choice.next().patienceMs);
    assert.deepEqual(patience, [
      ...[3000, 3000, 3000],
      ...[6000, 6000, 6000],
      ...[10_000, 10_000, 10_000],
      ...[10_000, 10_000, 10_000],
    ]);
    assert.equal(new ControllerChoice(["a:1"], seededRandom(1)).next().patienceMs, 10_000);
    assert.deepEqual(WELCOME_PATIENCE_MS, { first: 3000, most: 10_000 });
  });

  it("keeps backing off from streams that end as soon as they are welcomed", () => {
    const choice = new ControllerChoice(["a:1"], () => 0.5);
    const delays = Array.from({ length: 4 }, () => {
      const { delayMs } = choice.next();
      choice.ended("a:1", SETTLED_MS - 1);
      return delayMs;
    });
    assert.deepEqual(delays, [0, 1000, 2000, 3333]);
  });

  it("tries a lone controller again at once when a long stream has ended", () => {
    const choice = new ControllerChoice(["a:1"], seededRandom(3));
    rounds(choice, 5);
    choice.ended("a:1", SETTLED_MS);
    const { endpoint, delayMs } = choice.next();
    assert.equal(endpoint, "a:1");
    assert.ok(delayMs < FAILOVER_SPREAD_MS);
  });
});
