/** Whoever follows the feed, however slowly or brokenly, ends equal to the head. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { Lease } from "../../../../common/lease/lease.ts";
import { addLease, EMPTY_DIGEST, formatDigest } from "../../../../common/lease/lease-digest.ts";
import { leaseFromWire } from "../../../../common/lease/lease-wire.ts";
import { CrumbChain } from "../../../../controller/view/crumb-chain.ts";
import { nextFor, type Place, resume } from "../../../../controller/view/feed.ts";
import { LeaseTable } from "../../../../controller/view/lease-table.ts";
import {
  encodeDelta,
  encodeSnapshot,
  type Frame,
} from "../../../../controller/view/stream-frames.ts";
import {
  ControllerMessage,
  type Lease as WireLease,
} from "../../../../proto/gen/twill/v1/fabric.ts";
import { leaseValue } from "../../../support/lease-texts.ts";
import { StoreHistory } from "../../../support/store-history.ts";

/** A table and its chain, fed by a store. */
class Controller {
  readonly history = new StoreHistory();
  readonly table = new LeaseTable();
  readonly chain: CrumbChain;

  constructor(limits = { maxCrumbs: 1000, maxBytes: 1_000_000 }) {
    this.table.replace(this.history.listing());
    this.chain = new CrumbChain(this.table, limits);
  }

  put(subnet: number, ip = subnet): void {
    this.#take(this.history.put(`subnets/10.5.${subnet}.0-24`, leaseValue(`10.99.0.${ip}`)));
  }

  delete(subnet: number): void {
    this.#take(this.history.delete(`subnets/10.5.${subnet}.0-24`));
  }

  #take(changes: Parameters<LeaseTable["apply"]>[0]): void {
    const change = this.table.apply(changes);
    if (change !== undefined) this.chain.append(change, this.table.digest);
  }
}

/** What an agent does with the frames, as docs/protocol.md says. */
class Agent {
  readonly leases = new Map<string, Lease>();
  revision = 0;
  place: Place | undefined;
  snapshots = 0;

  get digest(): string {
    return formatDigest([...this.leases.values()].reduce(addLease, EMPTY_DIGEST));
  }

  /** Takes one message; false when there is none. */
  pull(controller: Controller, limits?: Parameters<typeof nextFor>[2]): boolean {
    const next = nextFor(this.place, controller.chain, limits);
    if (next.kind === "idle") return false;
    if (next.kind === "snapshot") {
      const snapshot = encodeSnapshot(controller.table, controller.chain.head);
      this.leases.clear();
      this.snapshots += 1;
      for (const frame of snapshot.frames) this.#take(frame);
      this.place = snapshot;
    } else {
      this.#take(encodeDelta(next.delta));
      this.place = next.place;
    }
    return true;
  }

  hello(controller: Controller, instance = "x"): string {
    const held = { instance, revision: this.revision, digest: this.digest };
    const answer = resume(held, "x", controller.chain);
    this.place = answer.kind === "snapshot" ? undefined : answer.place;
    // The Bookmark that tells an agent in sync so also tells it the revision.
    if (answer.kind === "in-sync") {
      assert.ok(answer.place.revision >= this.revision, "a revision never goes back");
      this.revision = answer.place.revision;
    }
    return answer.kind;
  }

  #take(frame: Frame): void {
    const { body } = ControllerMessage.decode(frame);
    switch (body?.$case) {
      case "snapshotPart":
        this.#upsert(body.value.upserts);
        break;
      case "snapshotEnd":
        this.revision = body.value.revision;
        assert.equal(this.digest, body.value.digest);
        break;
      case "delta":
        assert.equal(this.revision, body.value.fromRevision);
        assert.ok(body.value.toRevision >= body.value.fromRevision);
        this.#upsert(body.value.upserts);
        for (const key of body.value.removes) this.leases.delete(key);
        this.revision = body.value.toRevision;
        break;
      default:
        assert.equal(body?.$case, "snapshotBegin");
    }
  }

  #upsert(upserts: readonly WireLease[]): void {
    for (const wire of upserts) {
      const decoded = leaseFromWire(wire);
      assert.ok(decoded.kind === "lease");
      this.leases.set(decoded.lease.key, decoded.lease);
    }
  }
}

function assertEqualToHead(agent: Agent, controller: Controller): void {
  assert.ok(agent.revision >= controller.chain.head.revision);
  assert.equal(agent.digest, formatDigest(controller.table.digest));
  const rows = [...controller.table.rows.values()].map((row) => row.lease);
  assert.deepEqual(
    [...agent.leases.values()].toSorted((a, b) => (a.key < b.key ? -1 : 1)),
    rows.toSorted((a, b) => (a.key < b.key ? -1 : 1)),
  );
}

describe("what a subscriber gets next", () => {
  it("is a snapshot, then deltas, then nothing", () => {
    const controller = new Controller();
    controller.put(1);
    const agent = new Agent();
    assert.ok(agent.pull(controller));
    assert.ok(!agent.pull(controller));
    controller.put(2);
    controller.delete(1);
    assert.ok(agent.pull(controller));
    assertEqualToHead(agent, controller);
    assert.equal(agent.snapshots, 1);
  });

  it("merges what it missed into one message with the last value of each lease", () => {
    const controller = new Controller();
    const agent = new Agent();
    agent.pull(controller);
    for (let ip = 1; ip <= 50; ip += 1) controller.put(1, ip);
    controller.put(2);
    controller.delete(2);
    const next = nextFor(agent.place, controller.chain);
    assert.ok(next.kind === "delta");
    assert.equal(next.delta.upserts.length, 1);
    assert.deepEqual(next.delta.removes, ["10.5.2.0-24"]);
    agent.pull(controller);
    assertEqualToHead(agent, controller);
  });

  it("is cut into messages of bounded size, at revisions", () => {
    const controller = new Controller();
    const agent = new Agent();
    agent.pull(controller);
    for (let subnet = 1; subnet <= 30; subnet += 1) controller.put(subnet);
    const limits = { deltaBytes: 500, crumbBytes: 1000 };
    let messages = 0;
    while (agent.pull(controller, limits)) messages += 1;
    assert.ok(messages >= 5 && messages <= 10, String(messages));
    assertEqualToHead(agent, controller);
    assert.equal(agent.snapshots, 1);
  });

  it("is a snapshot for one that fell off the kept history, and for a change too large", () => {
    const controller = new Controller({ maxCrumbs: 8, maxBytes: 1_000_000 });
    const agent = new Agent();
    agent.pull(controller);
    for (let subnet = 1; subnet <= 30; subnet += 1) controller.put(subnet);
    agent.pull(controller);
    assertEqualToHead(agent, controller);
    assert.equal(agent.snapshots, 2);
    controller.put(31);
    agent.pull(controller, { deltaBytes: 10, crumbBytes: 10 });
    assertEqualToHead(agent, controller);
    assert.equal(agent.snapshots, 3);
  });
});

describe("resuming", () => {
  function pair(): { controller: Controller; agent: Agent } {
    const controller = new Controller();
    controller.put(1);
    const agent = new Agent();
    agent.pull(controller);
    return { controller, agent };
  }

  it("needs nothing when the agent holds the newest table", () => {
    const { controller, agent } = pair();
    assert.equal(agent.hello(controller), "in-sync");
    assert.ok(!agent.pull(controller));
  });

  it("goes on by delta from any revision the chain knows, also one between two crumbs", () => {
    const { controller, agent } = pair();
    controller.history.skip();
    agent.revision += 1;
    controller.put(2);
    assert.equal(agent.hello(controller), "resume");
    agent.pull(controller);
    assertEqualToHead(agent, controller);
    assert.equal(agent.snapshots, 1);
  });

  it("takes a snapshot for another instance, a future, a forgotten or a different table", () => {
    const { controller, agent } = pair();
    controller.put(2);
    assert.equal(agent.hello(controller, "y"), "snapshot");
    assert.equal(agent.hello(controller, ""), "snapshot");
    agent.revision += 1000;
    assert.equal(agent.hello(controller), "snapshot");
    agent.revision = 1;
    assert.equal(agent.hello(controller), "snapshot");
    agent.revision = controller.chain.head.revision;
    assert.equal(agent.hello(controller), "snapshot", "right revision, other leases");
  });

  it("is in sync by digest alone, whatever revision another replica called it", () => {
    const { controller, agent } = pair();
    agent.revision += 1000;
    assert.equal(agent.hello(controller), "in-sync");
    controller.put(2);
    agent.pull(controller);
    assertEqualToHead(agent, controller);
  });

  it("lets any subscriber that follows end equal to the head", () => {
    const step = fc.oneof(
      fc.record({
        op: fc.constant("put" as const),
        n: fc.integer({ min: 1, max: 6 }),
        ip: fc.integer({ min: 1, max: 9 }),
      }),
      fc.record({ op: fc.constant("delete" as const), n: fc.integer({ min: 1, max: 6 }) }),
      fc.record({ op: fc.constantFrom("pull" as const, "reconnect" as const), n: fc.nat() }),
    );
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 80 }),
        fc.integer({ min: 1, max: 20 }),
        (steps, maxCrumbs) => {
          const controller = new Controller({ maxCrumbs, maxBytes: 2000 });
          const agents = [new Agent(), new Agent(), new Agent()];
          for (const each of steps) play(controller, agents, each);
          for (const agent of agents) {
            while (agent.pull(controller));
            assertEqualToHead(agent, controller);
          }
        },
      ),
    );
  });
});

function play(
  controller: Controller,
  agents: readonly Agent[],
  step: { op: "put" | "delete" | "pull" | "reconnect"; n: number; ip?: number },
): void {
  const agent = agents[step.n % agents.length];
  if (step.op === "put") controller.put(step.n, step.ip);
  else if (step.op === "delete") controller.delete(step.n);
  else if (step.op === "pull") agent?.pull(controller, { deltaBytes: 300, crumbBytes: 1000 });
  else agent?.hello(controller);
}
