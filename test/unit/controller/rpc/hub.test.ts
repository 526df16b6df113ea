/** Everybody hears of everything, once, in few messages, and nobody's slowness costs another. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TaskGroup } from "../../../../common/async/task-group.ts";
import { formatDigest } from "../../../../common/lease/lease-digest.ts";
import { noMetrics } from "../../../../common/metrics.ts";
import { Hub } from "../../../../controller/rpc/hub.ts";
import { Subscriber } from "../../../../controller/rpc/subscriber.ts";
import { placeAt } from "../../../../controller/view/feed.ts";
import { LeaseView } from "../../../../controller/view/lease-view.ts";
import { encodeMessage } from "../../../../controller/view/stream-frames.ts";
import type { Ack } from "../../../../proto/gen/twill/v1/fabric.ts";
import { type ControllerBody, FakeOutlet } from "../../../support/fake-outlet.ts";
import { leaseValue } from "../../../support/lease-texts.ts";
import { LogCapture } from "../../../support/log-capture.ts";
import { ManualClock, settle } from "../../../support/manual-clock.ts";
import { StoreHistory } from "../../../support/store-history.ts";

const CONFIG = '{"Network":"10.5.0.0/16","Backend":{"Type":"vxlan"}}';

class Scene implements AsyncDisposable {
  readonly clock = new ManualClock();
  readonly history = new StoreHistory();
  readonly log = new LogCapture();
  readonly view = new LeaseView(this.log);
  yields = 0;
  readonly hub = new Hub({
    view: this.view,
    clock: this.clock,
    log: this.log,
    metrics: noMetrics,
    random: () => 0.5,
    leader: () => "ctl-1",
    yieldTurn: async () => {
      this.yields += 1;
    },
  });
  readonly #group = new TaskGroup();

  constructor(leases = 0) {
    for (let n = 0; n < leases; n += 1) this.history.put(keyOf(n), leaseValue("10.99.0.1"));
    this.view.load(this.history.listing(), "etcd/x");
    this.#group.spawn((signal) => this.hub.run(signal));
  }

  join(
    node: string,
    options: { inSync?: boolean; stalled?: boolean } = {},
  ): {
    subscriber: Subscriber;
    outlet: FakeOutlet;
  } {
    const outlet = new FakeOutlet();
    outlet.isStalled = options.stalled ?? false;
    const place = options.inSync ? placeAt(this.view.chain.head) : undefined;
    const subscriber = new Subscriber({
      ...{
        node,
        version: "test",
        process: "",
        features: new Set<string>(),
        address: `${node}:1`,
        outlet,
        place,
      },
      ...{ configRevision: 0, nowMs: this.clock.monotonicMs() },
    });
    this.hub.add(subscriber);
    return { subscriber, outlet };
  }

  put(n: number, ip = "10.99.0.1"): void {
    this.view.apply(this.history.put(keyOf(n), leaseValue(ip)));
  }

  async pass(ms: number): Promise<void> {
    // Agents that live say so.
    for (let left = ms; left > 0; left -= 5000) {
      for (const subscriber of this.hub.subscribers) subscriber.heardMs = this.clock.monotonicMs();
      await this.clock.advance(Math.min(left, 5000));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#group.abort();
    await this.#group.join();
  }
}

function keyOf(n: number): string {
  return `subnets/10.${5 + (n >> 8)}.${n & 255}.0-24`;
}

function deltas(
  outlet: FakeOutlet,
): readonly Extract<ControllerBody, { $case: "delta" }>["value"][] {
  return outlet.bodies.flatMap((body) => (body.$case === "delta" ? [body.value] : []));
}

function ackOf(scene: Scene, digest = formatDigest(scene.view.table.digest)): Ack {
  const { revision } = scene.view.chain.head;
  return { instance: "etcd/x", revision, digest, failures: [], applyMs: 1 };
}

describe("the hub", () => {
  it("sends a newcomer what waits for it, then the snapshot, one message at a time", async () => {
    await using scene = new Scene(1000);
    const { outlet, subscriber } = scene.join("a", { stalled: true });
    assert.deepEqual(outlet.names, ["snapshotBegin"]);
    assert.equal(subscriber.sentRevision, 0);
    for (let turn = 0; turn < 10; turn += 1) outlet.read();
    const [begin, ...rest] = outlet.names;
    assert.equal(begin, "snapshotBegin");
    assert.equal(rest.at(-1), "snapshotEnd");
    assert.ok(rest.length >= 3, "in parts");
    assert.equal(subscriber.sentRevision, scene.view.chain.head.revision);
  });

  it("makes one message of what happens within the window", async () => {
    await using scene = new Scene();
    const { outlet } = scene.join("a");
    await settle();
    for (let n = 0; n < 50; n += 1) scene.put(n);
    await scene.clock.advance(19);
    assert.equal(deltas(outlet).length, 0);
    await scene.clock.advance(1);
    assert.deepEqual(
      deltas(outlet).map(({ upserts }) => upserts.length),
      [50],
    );
  });

  it("gives all who are at the same place the very same bytes", async () => {
    await using scene = new Scene();
    const outlets = ["a", "b", "c"].map((node) => scene.join(node).outlet);
    await settle();
    scene.put(1);
    await scene.clock.advance(20);
    const [first, ...others] = outlets.map((outlet) => outlet.frames.at(-1));
    assert.ok(others.every((frame) => frame === first));
    const snapshots = outlets.map((outlet) => outlet.frames[0]);
    assert.ok(
      snapshots.every((frame) => frame === snapshots[0]),
      "snapshots too",
    );
  });

  it("never has two messages on the way, and catches a slow one up with one message", async () => {
    await using scene = new Scene();
    const { outlet } = scene.join("slow");
    await settle();
    outlet.isStalled = true;
    for (let n = 0; n < 100; n += 1) {
      scene.put(n % 10, `10.99.1.${n}`);
      await scene.clock.advance(100);
    }
    assert.equal(deltas(outlet).length, 1, "the outlet throws on a second write");
    outlet.isStalled = false;
    outlet.read();
    await scene.clock.advance(250);
    const [, caughtUp] = deltas(outlet);
    assert.equal(caughtUp?.upserts.length, 10, "the last value of each");
    assert.equal(caughtUp?.toRevision, scene.view.chain.head.revision);
  });

  it("lets one that does not read cost the others nothing, and cuts it off after 30 s", async () => {
    await using scene = new Scene();
    const healthy = Array.from({ length: 600 }, (_, n) => scene.join(`node-${n}`).outlet);
    await settle();
    const { outlet } = scene.join("stalled", { stalled: true });
    scene.put(1);
    await scene.clock.advance(20);
    assert.ok(healthy.every((each) => deltas(each).length === 1));
    assert.ok(scene.yields >= 2, "in slices");
    await scene.pass(29_000);
    assert.equal(outlet.isDestroyed, false);
    await scene.pass(3000);
    assert.equal(outlet.isDestroyed, true);
    assert.equal(outlet.reason?.code, "STREAM_EVICTED");
    assert.equal(scene.hub.get("stalled"), undefined);
    assert.match(
      scene.log.of("stream.evicted")[0]?.message ?? "",
      /stalled .* read nothing for 3\d s/,
    );
    assert.equal(scene.hub.size, 600);
  });

  it("cuts off one that has said nothing for three heartbeats", async () => {
    await using scene = new Scene();
    const { outlet } = scene.join("mute");
    await scene.clock.advance(29_000);
    assert.equal(outlet.isDestroyed, false);
    await scene.clock.advance(3000);
    assert.equal(outlet.isDestroyed, true);
    assert.match(scene.log.of("stream.evicted")[0]?.message ?? "", /sent nothing/);
  });

  it("tells one that is in sync by its Hello so at once", async () => {
    await using scene = new Scene(3);
    const { outlet } = scene.join("a", { inSync: true });
    const { head } = scene.view.chain;
    const value = { revision: head.revision, digest: formatDigest(head.digest), leader: "ctl-1" };
    assert.deepEqual(outlet.bodies, [{ $case: "bookmark", value }]);
  });

  it("says every half minute that nothing changed, and not more often", async () => {
    await using scene = new Scene();
    const { outlet } = scene.join("a");
    await scene.pass(301_000);
    const bookmarks = outlet.names.filter((name) => name === "bookmark");
    assert.ok(bookmarks.length >= 9 && bookmarks.length <= 11, String(bookmarks.length));
  });

  it("broadcasts a changed config, and does not repeat one that Welcome carried", async () => {
    await using scene = new Scene();
    scene.view.apply(scene.history.put("config", CONFIG));
    const { outlet } = scene.join("a");
    await settle();
    assert.deepEqual(outlet.names, ["config", "snapshotBegin", "snapshotEnd"]);
    scene.view.apply(scene.history.put("config", "{}"));
    await scene.clock.advance(20);
    assert.equal(outlet.names.length, 3, "an invalid config is not told");
    scene.view.apply(scene.history.put("config", CONFIG.replace("10.5", "10.6")));
    await scene.clock.advance(20);
    assert.equal(outlet.names.at(-1), "config");
  });

  it("puts answers before everything else, at once", async () => {
    await using scene = new Scene();
    const { outlet, subscriber } = scene.join("a");
    await settle();
    const refusal = { request: 7, code: "NOT_LEADER", message: "", retryAfterMs: 1 };
    subscriber.answer(encodeMessage({ $case: "refused", value: refusal }));
    scene.hub.kick(subscriber);
    assert.deepEqual(outlet.bodies.at(-1), { $case: "refused", value: refusal });
  });

  it("does not let an agent pile up answers that it does not read", async () => {
    await using scene = new Scene();
    const { subscriber } = scene.join("a", { stalled: true });
    const frame = new Uint8Array(1);
    const taken = Array.from({ length: 20 }, () => subscriber.answer(frame));
    assert.deepEqual(taken.filter(Boolean).length, 16);
  });

  it("gives everybody a snapshot when history began anew", async () => {
    await using scene = new Scene(3);
    const { outlet } = scene.join("a");
    await settle();
    const restored = new StoreHistory();
    restored.put(keyOf(9), leaseValue("10.99.0.9"));
    scene.view.load(restored.listing(), "etcd/y");
    await scene.clock.advance(20);
    assert.deepEqual(outlet.names.slice(-3), ["snapshotBegin", "snapshotPart", "snapshotEnd"]);
  });

  it("forgets a stream that has ended, but not its successor of the same name", async () => {
    await using scene = new Scene();
    const first = scene.join("a");
    const second = scene.join("a");
    scene.hub.remove(first.subscriber);
    assert.equal(scene.hub.get("a"), second.subscriber);
  });
});

describe("acknowledgements", () => {
  it("are kept apart from what was sent", async () => {
    await using scene = new Scene(2);
    const { subscriber } = scene.join("a");
    await settle();
    assert.ok(subscriber.sentRevision > 0);
    const applied = (): number | undefined => subscriber.applied?.revision;
    assert.equal(applied(), undefined);
    scene.hub.acknowledged(subscriber, ackOf(scene));
    assert.equal(applied(), subscriber.sentRevision);
  });

  it("that name another table bring everything anew, told once, and not in a loop", async () => {
    await using scene = new Scene(2);
    const { subscriber, outlet } = scene.join("a");
    await settle();
    const before = outlet.names.length;
    const wrong = "0123456789abcdef";
    scene.hub.acknowledged(subscriber, ackOf(scene, wrong));
    await settle();
    assert.deepEqual(outlet.names.slice(before), ["snapshotBegin", "snapshotPart", "snapshotEnd"]);
    assert.equal(scene.log.of("table.diverged").length, 1);
    scene.hub.acknowledged(subscriber, ackOf(scene, wrong));
    await settle();
    assert.equal(outlet.names.length, before + 3);
    await scene.pass(31_000);
    scene.hub.acknowledged(subscriber, ackOf(scene, wrong));
    await settle();
    assert.equal(scene.log.of("table.diverged").length, 2);
  });

  it("with failures, of another instance or of an unknown revision prove nothing", async () => {
    await using scene = new Scene(2);
    const { subscriber } = scene.join("a");
    await settle();
    const wrong = ackOf(scene, "0123456789abcdef");
    const failure = { kind: "route", key: "10.5.1.0/24", code: "EINVAL", message: "" };
    scene.hub.acknowledged(subscriber, { ...wrong, failures: [failure] });
    scene.hub.acknowledged(subscriber, { ...wrong, instance: "etcd/other" });
    scene.hub.acknowledged(subscriber, { ...wrong, revision: wrong.revision + 100 });
    assert.equal(scene.log.of("table.diverged").length, 0);
  });
});
