/** What the page is told: everything that changes, once, as one frame for a burst. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TaskGroup } from "../../../../common/async/task-group.ts";
import { silentLogger } from "../../../../common/log.ts";
import { readDelta, readSnapshot } from "../../../../console/live/wire.ts";
import { type Cluster, fold, fromSnapshot } from "../../../../console/model/cluster.ts";
import { ConsoleFeed } from "../../../../controller/console/console-feed.ts";
import { consoleHead } from "../../../../controller/console/head.ts";
import { consoleNode } from "../../../../controller/console/rows.ts";
import { Viewer } from "../../../../controller/console/viewer.ts";
import { LeaseView } from "../../../../controller/view/lease-view.ts";
import type { NodeStatus } from "../../../../proto/gen/twill/v1/operator.ts";
import { leaseValue, recordValue } from "../../../support/lease-texts.ts";
import { ManualClock } from "../../../support/manual-clock.ts";
import { StoreHistory } from "../../../support/store-history.ts";

const SELF = "c1:7470";

class Scene implements AsyncDisposable {
  readonly clock = new ManualClock();
  readonly history = new StoreHistory();
  readonly view = new LeaseView(silentLogger);
  readonly nodes: NodeStatus[] = [];
  storeFault = "";
  readonly feed = new ConsoleFeed({
    view: this.view,
    clock: this.clock,
    head: () =>
      consoleHead({
        ...{ view: this.view, self: SELF, version: "1", leaseTtlSeconds: 60 },
        ...{ storeFault: this.storeFault, answers: new Map() },
      }),
    nodes: (told) =>
      this.nodes.map((status) =>
        consoleNode(status, SELF, told.get(status.node), this.clock.wallMs()),
      ),
  });
  readonly #group = new TaskGroup();

  constructor() {
    this.history.put("config", '{"Network":"10.5.0.0/16"}');
    this.history.put("twill/election/1", '{"name":"c1","address":"c1:7470"}');
    this.lease(1);
    this.view.load(this.history.listing(), "etcd/x");
    this.nodes.push(status("node1", this.revision));
    this.#group.spawn((signal) => this.feed.run(signal));
  }

  get revision(): number {
    return this.view.chain.head.revision;
  }

  lease(n: number): void {
    const block = `10.5.${n}.0-24`;
    const address = `10.99.0.${n}`;
    const change = this.history.commit(
      new Map([
        [`subnets/${block}`, { value: leaseValue(address), etcdLease: "7" }],
        [
          `twill/nodes/node${n}`,
          { value: recordValue(`node${n}`, block, address), etcdLease: "0" },
        ],
      ]),
    );
    if (this.view.instance !== "") this.view.apply(change);
  }

  get cluster(): Cluster {
    return fromSnapshot(readSnapshot(this.feed.snapshot().json));
  }

  get told(): readonly string[] {
    return this.cluster.events.map(({ text }) => text);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#group.abort();
    await this.#group.join();
  }
}

function status(node: string, appliedRevision: number): NodeStatus {
  return {
    ...{ node, version: "1", address: "10.99.0.1:1", sentRevision: appliedRevision },
    ...{ appliedRevision, failures: [], state: "in-sync", reason: "", driftRepaired: 0 },
    connectedSeconds: 5,
  };
}

class Reader {
  readonly frames: string[] = [];
  isDestroyed = false;
  isWelcome = true;
  #flushed: (() => void) | undefined;

  write(frame: Uint8Array, flushed: () => void): boolean {
    assert.equal(this.#flushed, undefined, "one frame at a time");
    this.frames.push(Buffer.from(frame).toString());
    this.#flushed = flushed;
    return true;
  }

  read(): void {
    const flushed = this.#flushed;
    this.#flushed = undefined;
    flushed?.();
  }

  destroy(): this {
    this.isDestroyed = true;
    return this;
  }
}

describe("the console's feed", () => {
  it("begins with the cluster as it is, and that is no news", async () => {
    await using scene = new Scene();
    await scene.clock.advance(500);
    const { cluster } = scene;
    assert.deepEqual([...cluster.leases.keys()], ["10.5.1.0-24"]);
    assert.equal(cluster.leases.get("10.5.1.0-24")?.node, "node1");
    assert.equal(cluster.nodes.get("node1")?.controller, SELF);
    assert.equal(cluster.head.leader, SELF);
    assert.deepEqual(cluster.events, []);
  });

  it("tells of a burst of leases in one frame, and of the acknowledgement when it comes", async () => {
    await using scene = new Scene();
    await scene.clock.advance(500);
    const before = scene.feed.ring.head;
    scene.lease(2);
    scene.lease(3);
    await scene.clock.advance(60);
    assert.equal(scene.feed.ring.head, before + 1);
    assert.deepEqual(scene.told, [
      "10.5.2.0/24 is node2's, reached at 10.99.0.2",
      "10.5.3.0/24 is node3's, reached at 10.99.0.3",
    ]);
    scene.nodes[0] = status("node1", scene.revision);
    await scene.clock.advance(500);
    assert.equal(scene.told.at(-1), `revision ${scene.revision} is in the kernel of node1`);
  });

  it("says much of one kind as one sentence", async () => {
    await using scene = new Scene();
    await scene.clock.advance(500);
    for (let n = 2; n < 30; n += 1) scene.lease(n);
    await scene.clock.advance(60);
    assert.deepEqual(scene.told, ["28 leases appeared"]);
  });

  it("folds on the page to what a snapshot of the same moment says", async () => {
    await using scene = new Scene();
    await scene.clock.advance(500);
    const begun = scene.cluster;
    scene.lease(2);
    await scene.clock.advance(300);
    scene.nodes.length = 0;
    scene.storeFault = "no endpoint answers";
    await scene.clock.advance(300);
    scene.view.apply(scene.history.delete("subnets/10.5.1.0-24"));
    await scene.clock.advance(300);
    let folded: Cluster | undefined = begun;
    for (let at = begun.sequence + 1; at <= scene.feed.ring.head; at += 1) {
      const frame = Buffer.from(scene.feed.ring.at(at) ?? []).toString();
      folded = folded && fold(folded, readDelta(frame.split("data: ")[1]));
    }
    assert.deepEqual(
      { ...folded, atMs: 0 },
      { ...scene.cluster, atMs: 0 },
      "the two ways lead to one state",
    );
    assert.ok(scene.told.includes("etcd does not answer: no endpoint answers"));
    assert.ok(scene.told.includes("node1 has no stream any more"));
  });

  it("says at least every two seconds that it lives", async () => {
    await using scene = new Scene();
    await scene.clock.advance(500);
    const before = scene.feed.ring.head;
    await scene.clock.advance(10_000);
    const beats = scene.feed.ring.head - before;
    assert.ok(beats >= 4 && beats <= 7, `${beats} beats`);
  });

  it("has one frame on its way to a page, and gives a slow one a snapshot instead of a queue", async () => {
    await using scene = new Scene();
    const reader = new Reader();
    const viewer = new Viewer(scene.feed, reader, {
      nowMs: () => scene.clock.monotonicMs(),
      isWelcome: () => reader.isWelcome,
    });
    scene.feed.onFrame(() => viewer.pump());
    viewer.pump();
    assert.match(reader.frames.at(0) ?? "", /^event: snapshot\n/);
    for (let n = 0; n < 300; n += 1) {
      scene.lease(2 + (n % 200));
      await scene.clock.advance(50);
    }
    assert.equal(reader.frames.length, 1);
    reader.read();
    assert.match(reader.frames.at(-1) ?? "", /^event: snapshot\n/);
    reader.read();
    scene.lease(250);
    await scene.clock.advance(300);
    assert.match(reader.frames.at(-1) ?? "", /^event: delta\n/);
  });

  it("cuts off a page whose certificate does not count any more", async () => {
    await using scene = new Scene();
    const reader = new Reader();
    const viewer = new Viewer(scene.feed, reader, {
      nowMs: () => scene.clock.monotonicMs(),
      isWelcome: () => reader.isWelcome,
    });
    scene.feed.onFrame(() => viewer.pump());
    await scene.clock.advance(3000);
    assert.equal(reader.isDestroyed, false);
    reader.isWelcome = false;
    await scene.clock.advance(3000);
    assert.equal(reader.isDestroyed, true);
  });

  it("cuts off a page that does not read", async () => {
    await using scene = new Scene();
    const reader = new Reader();
    const viewer = new Viewer(scene.feed, reader, {
      nowMs: () => scene.clock.monotonicMs(),
      isWelcome: () => reader.isWelcome,
    });
    scene.feed.onFrame(() => viewer.pump());
    viewer.pump();
    await scene.clock.advance(30_000);
    assert.equal(reader.isDestroyed, true);
  });
});
