/** Keys are put again as they are: paced, ours only, and never by who does not lead. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TaskGroup } from "../../../../common/async/task-group.ts";
import { TwillError } from "../../../../common/errors.ts";
import { nudgeForEver } from "../../../../controller/lease/nudge.ts";
import type { ViewChange } from "../../../../controller/view/lease-view.ts";
import { ViewService } from "../../../../controller/view/view-service.ts";
import { FaultyStore } from "../../../support/faulty-store.ts";
import { leaseValue, recordValue } from "../../../support/lease-texts.ts";
import { LogCapture } from "../../../support/log-capture.ts";
import { ManualClock, settle } from "../../../support/manual-clock.ts";
import { MemoryStore } from "../../../support/memory-store.ts";

const FENCE = "twill/election/1a";
const NEVER = new AbortController().signal;

class Scene implements AsyncDisposable {
  readonly clock = new ManualClock();
  readonly memory = new MemoryStore(this.clock);
  readonly store = new FaultyStore(this.memory);
  readonly log = new LogCapture();
  readonly changes: ViewChange[] = [];
  readonly group = new TaskGroup();
  readonly ended = new AbortController();

  async start(intervalMs: number, nodes = 4): Promise<this> {
    const { clock, store, log, memory } = this;
    for (let n = 1; n <= nodes; n += 1) {
      const etcdLease = await memory.grantLease(86_400, NEVER);
      const [key, ip] = [`10.5.${n}.0-24`, `10.99.0.${n}`];
      memory.put(`subnets/${key}`, leaseValue(ip), etcdLease);
      memory.put(`twill/nodes/n${n}`, recordValue(`n${n}`, key, ip));
    }
    memory.put(
      "subnets/10.5.9.0-24",
      leaseValue("10.99.9.9"),
      await memory.grantLease(86_400, NEVER),
    );
    const views = new ViewService({ store, clock, log, random: () => 0.5 });
    this.group.spawn((signal) => views.run(signal));
    await settle();
    views.view.onChange((change) => this.changes.push(change));
    const leadership = {
      key: FENCE,
      token: memory.put(FENCE, "me"),
      signal: this.ended.signal,
    };
    const parts = { store, view: views.view, clock, log, intervalMs };
    this.group.spawn(() => nudgeForEver(parts, leadership));
    await settle();
    return this;
  }

  /** Keys of Twill's nodes that were put again, by mod and create revision. */
  nudged(nodes = 4): number {
    return Array.from({ length: nodes }, (_, n) => this.memory.get(`subnets/10.5.${n + 1}.0-24`))
      .map((entry) => (entry !== undefined && entry.modRevision > entry.createRevision ? 1 : 0))
      .reduce<number>((sum, one) => sum + one, 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.ended.abort(new TwillError("NOT_LEADER", "the test is over"));
    this.group.abort();
    await this.group.join();
    await this.memory.close();
  }
}

describe("nudging", () => {
  it("puts every key of ours once in the interval, evenly, with its value and etcd lease", async () => {
    await using scene = await new Scene().start(60_000);
    const before = scene.memory.get("subnets/10.5.2.0-24");
    const seen: number[] = [];
    for (let quarter = 0; quarter < 4; quarter += 1) {
      seen.push(scene.nudged());
      await scene.clock.advance(15_000);
    }
    assert.deepEqual([...seen, scene.nudged()], [0, 1, 2, 3, 4]);
    const after = scene.memory.get("subnets/10.5.2.0-24");
    assert.ok(before && after && after.modRevision > before.modRevision);
    assert.deepEqual({ ...after, modRevision: 0 }, { ...before, modRevision: 0 });
    const foreign = scene.memory.get("subnets/10.5.9.0-24");
    assert.equal(foreign?.modRevision, foreign?.createRevision);
    assert.equal(scene.log.of("leases.nudged")[0]?.fields["nudged"], 4);
  });

  it("is news to nobody of ours", async () => {
    await using scene = await new Scene().start(1000);
    await scene.clock.advance(2000);
    assert.equal(scene.nudged(), 4);
    const told = scene.changes.filter(({ change }) => change.revision > 0);
    assert.ok(told.length >= 4);
    for (const { change } of told) {
      assert.deepEqual([change.upserts, change.removes, change.touched], [[], [], []]);
    }
  });

  it("is off unless asked for", async () => {
    await using scene = await new Scene().start(0);
    await scene.clock.advance(3_600_000);
    assert.equal(scene.nudged(), 0);
  });

  it("writes nothing once another leads, nor over what has changed", async () => {
    await using scene = await new Scene().start(60_000);
    scene.store.rival = () => scene.memory.put("subnets/10.5.1.0-24", leaseValue("10.99.7.7"));
    await scene.clock.advance(15_000);
    assert.equal(scene.memory.get("subnets/10.5.1.0-24")?.value, leaseValue("10.99.7.7"));
    scene.memory.delete(FENCE);
    const { revision } = scene.memory;
    await scene.clock.advance(60_000);
    assert.equal(scene.memory.revision, revision);
  });

  it("goes on after a fault of the store", async () => {
    await using scene = await new Scene().start(60_000);
    const down = new TwillError("STORE_UNAVAILABLE", "etcd does not answer");
    scene.store.refusing.set("transact", down);
    await scene.clock.advance(60_000);
    scene.store.refusing.clear();
    await scene.clock.advance(60_000);
    assert.equal(scene.nudged(), 4);
  });
});
