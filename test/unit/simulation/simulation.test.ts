/**
 * No two nodes hold overlapping subnets, whatever happens to controllers, clocks and etcd:
 * random histories, judged by rules that know nothing of the code. More of them with
 * TWILL_SIMULATIONS=5000; one again with TWILL_SIMULATION_SEED=123.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Transaction } from "../../../controller/store/store.ts";
import { type Outcome, simulate } from "../../support/simulation/simulation.ts";

const RUNS = Number(process.env["TWILL_SIMULATIONS"] ?? 60);
const SEED = process.env["TWILL_SIMULATION_SEED"];
/** So many runs must be enough to see a planted bug. */
const ENOUGH = 40;

function seeds(count: number): number[] {
  return SEED === undefined ? Array.from({ length: count }, (_, seed) => seed + 1) : [Number(SEED)];
}

function text(seed: number, { violations, story }: Outcome): string {
  return `seed ${seed}:\n${violations.join("\n")}\nstory:\n${story.join("\n")}`;
}

/** Leases move, but the transaction says nothing about the leader's key. */
function withoutFence(transaction: Transaction): Transaction {
  if (!transaction.writes.some(({ key }) => key.startsWith("subnets/"))) return transaction;
  return { ...transaction, compares: transaction.compares.slice(1) };
}

/** What real flannel does: it puts, whoever holds the key. */
function withoutCompares(transaction: Transaction): Transaction {
  if (!transaction.writes.some(({ key }) => key.startsWith("subnets/"))) return transaction;
  return { ...transaction, compares: [] };
}

describe("controllers under random faults", () => {
  it(`keep every rule of leases in ${RUNS} random histories`, async (t) => {
    let [revisions, registrations] = [0, 0];
    for (const seed of seeds(RUNS)) {
      const outcome = await simulate({ seed });
      assert.deepEqual(outcome.violations, [], text(seed, outcome));
      revisions += outcome.revisions;
      registrations += outcome.registrations;
    }
    assert.ok(registrations > RUNS, "the simulation does nothing");
    t.diagnostic(`${RUNS} histories, ${revisions} revisions, ${registrations} registrations`);
  });

  for (const [name, tamper] of [
    ["its fence", withoutFence],
    ["every compare", withoutCompares],
  ] as const) {
    it(`are seen to break them when a transaction lacks ${name}`, async () => {
      for (let seed = 1; seed <= ENOUGH; seed += 1) {
        if ((await simulate({ seed, tamper })).violations.length > 0) return;
      }
      assert.fail(`${ENOUGH} histories with a planted bug, and not one violation`);
    });
  }

  it("are the same again with the same seed", async () => {
    assert.deepEqual(await simulate({ seed: 7 }), await simulate({ seed: 7 }));
  });
});
