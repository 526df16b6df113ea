/**
 * Many peers on the real kernel: both shapes of a route are known again, turned into each other
 * without a moment in which a subnet has no route, and nothing of either is left over.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CROWDED } from "../../../../agent/plan/crowd.ts";
import { crowdLeases } from "../../../support/crowd.ts";
import { KernelNode } from "../../../support/kernel-node.ts";

const MANY = CROWDED.above + 100;
const FEW = CROWDED.notBelow - 100;

async function routes(node: KernelNode): Promise<readonly string[]> {
  const text = await node.namespace.run("ip", "route", "show", "dev", "flannel.1");
  return text.split("\n").filter((line) => line.includes(" via "));
}

const isSpread = (route: string): boolean => route.includes(" metric ");

describe("a crowd of peers in the kernel", () => {
  it("is spread over metrics, adopted as it is, turned back, and pruned", async () => {
    await using node = await KernelNode.create();
    const few = await node.start(crowdLeases(1, FEW));
    assert.equal(few.failureCount, 0);
    assert.deepEqual((await routes(node)).filter(isSpread), []);
    assert.equal((await routes(node))[0], "10.0.1.0/24 via 10.0.1.0 onlink ");

    const grown = await node.change(crowdLeases(FEW + 1, MANY - FEW));
    assert.equal(grown.failureCount, 0);
    const spread = await routes(node);
    assert.equal(spread.length, MANY);
    assert.ok(spread.every(isSpread));

    await node.stop();
    const again = await node.start(crowdLeases(1, MANY));
    assert.deepEqual([again.counts.route.put, again.counts.route.deleted], [0, 0]);
    assert.equal(again.driftCount, 0);

    const gone = crowdLeases(FEW + 1, MANY - FEW).map(({ key }) => key);
    const shrunk = await node.change([], gone);
    assert.equal(shrunk.failureCount, 0);
    const plain = await routes(node);
    assert.equal(plain.length, FEW);
    assert.deepEqual(plain.filter(isSpread), []);
  });

  it("takes the place of what flannel left, without asking which shape it had", async () => {
    await using node = await KernelNode.create();
    await node.start(crowdLeases(1, FEW));
    await node.stop();
    // The same machine comes back to a larger fleet: every route it finds has the other shape.
    const report = await node.start(crowdLeases(1, MANY));
    assert.deepEqual([report.counts.route.put, report.counts.route.deleted], [MANY, FEW]);
    const all = await routes(node);
    assert.equal(all.length, MANY);
    assert.ok(all.every(isSpread));
    const audited = await node.audit();
    assert.deepEqual([audited.counts.route.put, audited.driftCount], [0, 0]);
  });
});
