/** Keep-alives: when, how often, what follows when one is refused, and nothing for strangers. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TaskGroup } from "../../../../common/async/task-group.ts";
import { TwillError } from "../../../../common/errors.ts";
import { LeaseKeeper } from "../../../../controller/lease/lease-keeper.ts";
import { LogCapture } from "../../../support/log-capture.ts";
import { ManualClock, settle } from "../../../support/manual-clock.ts";
import { seededRandom } from "../../../support/seeded-random.ts";

const TTL = 600;

class Scene implements AsyncDisposable {
  readonly clock = new ManualClock();
  readonly log = new LogCapture();
  readonly held = new Map<string, string>();
  readonly lost: string[] = [];
  /** When each keep-alive was sent, by etcd lease. */
  readonly sent = new Map<string, number[]>();
  answer: () => Promise<number | undefined> = async () => TTL;
  readonly keeper = new LeaseKeeper({
    store: { keepAlive: (id) => this.#keepAlive(id) },
    clock: this.clock,
    random: seededRandom(7),
    log: this.log,
    etcdLeaseOf: (node) => this.held.get(node),
    onLost: (node) => this.lost.push(node),
  });
  readonly #group = new TaskGroup();

  constructor() {
    this.#group.spawn((signal) => this.keeper.run(signal));
  }

  hold(node: string, etcdLease: string): void {
    this.held.set(node, etcdLease);
    this.keeper.follow(node);
  }

  times(etcdLease: string): readonly number[] {
    return this.sent.get(etcdLease) ?? [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#group.abort();
    await this.#group.join();
  }

  #keepAlive(id: string): Promise<number | undefined> {
    this.sent.set(id, [...this.times(id), this.clock.monotonicMs()]);
    return this.answer();
  }
}

describe("the lease keeper", () => {
  it("keeps a connected node's etcd lease at once, then every third of its TTL at most", async () => {
    await using scene = new Scene();
    scene.held.set("a", "7");
    scene.keeper.add("a");
    await scene.clock.advance(3600_000);
    const times = scene.times("7");
    assert.ok((times[0] ?? Infinity) <= 1000);
    const gaps = times.slice(1).map((time, index) => time - (times[index] ?? 0));
    assert.ok(
      gaps.every((gap) => gap >= 160_000 && gap <= 200_000),
      gaps.join(" "),
    );
    assert.ok(new Set(gaps).size > 5, "spread by chance");
  });

  it("waits for its turn after a registration has just kept the lease", async () => {
    await using scene = new Scene();
    scene.held.set("a", "7");
    scene.keeper.add("a");
    scene.keeper.kept("a", TTL);
    await scene.clock.advance(159_000);
    assert.deepEqual(scene.times("7"), []);
    await scene.clock.advance(42_000);
    assert.equal(scene.times("7").length, 1);
  });

  it("waits for its turn too when the table shows the new lease after the answer", async () => {
    await using scene = new Scene();
    scene.keeper.add("a");
    scene.keeper.kept("a", TTL);
    await scene.clock.advance(1000);
    scene.hold("a", "7");
    await scene.clock.advance(159_000);
    assert.deepEqual(scene.times("7"), []);
    await scene.clock.advance(42_000);
    assert.equal(scene.times("7").length, 1);
    // The next one is not what that registration was about.
    scene.hold("a", "8");
    await scene.clock.advance(1000);
    assert.equal(scene.times("8").length, 1);
  });

  it("leaves alone what has no TTL, nodes that hold nothing, and nodes that left", async () => {
    await using scene = new Scene();
    scene.held.set("reservation", "0").set("gone", "9");
    for (const node of ["reservation", "nothing", "gone"]) scene.keeper.add(node);
    scene.keeper.remove("gone");
    scene.hold("stranger", "8");
    await scene.clock.advance(3600_000);
    assert.equal(scene.sent.size, 0);
    assert.equal(scene.keeper.size, 0);
  });

  it("follows a node to its next etcd lease and forgets the one before", async () => {
    await using scene = new Scene();
    scene.held.set("a", "7");
    scene.keeper.add("a");
    await scene.clock.advance(10_000);
    scene.hold("a", "8");
    await scene.clock.advance(3600_000);
    assert.equal(scene.times("7").length, 1);
    assert.ok(scene.times("8").length > 10);
  });

  it("tells once that an etcd lease is gone, and keeps it no more", async () => {
    await using scene = new Scene();
    scene.held.set("a", "7");
    scene.keeper.add("a");
    scene.answer = async () => undefined;
    await scene.clock.advance(3600_000);
    assert.deepEqual(scene.lost, ["a"]);
    assert.equal(scene.times("7").length, 1);
  });

  it("does not call a lease lost when the answer is about an older one", async () => {
    await using scene = new Scene();
    scene.held.set("a", "7");
    scene.keeper.add("a");
    let end: (ttl: undefined) => void = () => undefined;
    scene.answer = () => new Promise((resolve) => (end = resolve));
    await scene.clock.advance(1000);
    scene.answer = async () => TTL;
    scene.hold("a", "8");
    end(undefined);
    await scene.clock.advance(2000);
    assert.deepEqual(scene.lost, []);
    assert.equal(scene.times("8").length, 1);
  });

  it("tries again in time, without haste, while etcd does not answer", async () => {
    await using scene = new Scene();
    scene.held.set("a", "7");
    scene.keeper.add("a");
    await scene.clock.advance(10_000);
    scene.answer = async () => {
      throw new TwillError("STORE_UNAVAILABLE", "etcd is away");
    };
    await scene.clock.advance(600_000);
    const tries = scene.times("7").length;
    assert.ok(tries >= 10 && tries <= 40, String(tries));
    assert.deepEqual(scene.lost, []);
    scene.answer = async () => TTL;
    await scene.clock.advance(31_000);
    const before = scene.times("7").length;
    await scene.clock.advance(120_000);
    assert.equal(scene.times("7").length, before);
  });

  it("has at most 256 keep-alives under way, however many are due", async () => {
    await using scene = new Scene();
    const waiting: (() => void)[] = [];
    scene.answer = () => new Promise((resolve) => waiting.push(() => resolve(TTL)));
    for (let n = 0; n < 1000; n += 1) {
      scene.held.set(`node-${n}`, String(n + 1));
      scene.keeper.add(`node-${n}`);
    }
    await scene.clock.advance(1000);
    assert.equal(waiting.length, 256);
    for (let answered = 0; answered < 1000; ) {
      const batch = waiting.splice(0);
      answered += batch.length;
      for (const answer of batch) answer();
      await settle();
    }
    assert.equal(scene.sent.size, 1000);
  });

  it("does not collect what a restless node leaves in the schedule", async () => {
    await using scene = new Scene();
    scene.held.set("a", "7");
    scene.keeper.add("a");
    for (let n = 0; n < 20_000; n += 1) scene.keeper.kept("a", TTL);
    assert.ok(scene.keeper.scheduled < 2000, String(scene.keeper.scheduled));
    await scene.clock.advance(201_000);
    assert.equal(scene.times("7").length, 1);
  });
});
