/** What connected nodes get from a replica that leads or does not, and when a lease vanishes. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TaskGroup } from "../../../../common/async/task-group.ts";
import { TwillError } from "../../../../common/errors.ts";
import {
  type Allocator,
  type Refused,
  type Registered,
  refused,
} from "../../../../controller/lease/allocator.ts";
import { LeaseService } from "../../../../controller/lease/lease-service.ts";
import { noLeader, Registrar } from "../../../../controller/lease/registrar.ts";
import { ViewService } from "../../../../controller/view/view-service.ts";
import { FaultyStore } from "../../../support/faulty-store.ts";
import { leaseValue, vxlanAttrs } from "../../../support/lease-texts.ts";
import { LogCapture } from "../../../support/log-capture.ts";
import { ManualClock, settle } from "../../../support/manual-clock.ts";
import { MemoryStore } from "../../../support/memory-store.ts";

const TTL = 3600;
const NEVER = new AbortController().signal;

class Scene implements AsyncDisposable {
  readonly clock = new ManualClock();
  readonly memory = new MemoryStore(this.clock);
  readonly store = new FaultyStore(this.memory);
  readonly log = new LogCapture();
  readonly views: ViewService;
  readonly leader: LeaseService;
  readonly registrar: Registrar;
  /** What agents heard without asking. */
  readonly heard: (Registered | Refused)[] = [];
  asked = 0;
  storeFault: TwillError | undefined;
  route: Allocator;
  readonly #group = new TaskGroup();

  constructor() {
    const { store, clock, log } = this;
    const parts = { store, clock, log, random: () => 0.5, ttlSeconds: TTL };
    this.views = new ViewService(parts);
    this.leader = new LeaseService({ ...parts, views: this.views });
    this.route = this.leader;
    const allocator: Allocator = {
      register: (request, signal) => {
        this.asked += 1;
        return this.route.register(request, signal);
      },
      release: (node, signal) => this.route.release(node, signal),
    };
    const storeFault = (): TwillError | undefined => this.storeFault;
    this.registrar = new Registrar({ ...parts, views: this.views, storeFault, allocator });
  }

  async start(): Promise<this> {
    this.memory.put("config", '{"Network":"10.5.0.0/16","Backend":{"Type":"vxlan"}}');
    this.#group.spawn((signal) => this.views.run(signal));
    this.#group.spawn((signal) => this.registrar.run(signal));
    await settle();
    const key = "twill/election/1a";
    const token = this.memory.put(key, "me");
    this.#group.spawn((signal) => this.leader.lead({ key, token, signal }));
    await settle();
    return this;
  }

  open(n = 2): {
    register: () => Promise<Registered | Refused>;
    release: () => Promise<unknown>;
    close: () => void;
  } {
    const node = `node-${n}`;
    const claim = this.registrar.open(node, (answer) => this.heard.push(answer));
    const request = { node, attrs: vxlanAttrs(`10.99.0.${n}`), previous: undefined };
    return {
      register: () => claim.register(request, NEVER),
      release: () => claim.release(NEVER),
      close: () => claim.close(),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#group.abort();
    await this.#group.join();
    await this.memory.close();
  }
}

function told(outcome: Registered | Refused | undefined): string {
  if (outcome === undefined) return "nothing";
  return outcome.kind === "refused" ? outcome.code : outcome.lease.key;
}

describe("registering through a replica", () => {
  it("asks the leader the first time, and nobody when the lease stands as asked", async () => {
    await using scene = await new Scene().start();
    const claim = scene.open();
    assert.equal(told(await claim.register()), "10.5.1.0-24");
    await settle();
    const again = await claim.register();
    assert.ok(again.kind === "registered" && again.reused && again.ttlSeconds === TTL);
    assert.equal(scene.asked, 1);
  });

  it("answers a standing lease without a leader, and even without etcd", async () => {
    await using scene = await new Scene().start();
    await scene.open().register();
    await settle();
    scene.route = noLeader;
    assert.equal(told(await scene.open().register()), "10.5.1.0-24");
    scene.store.link = "down";
    assert.equal(told(await scene.open().register()), "10.5.1.0-24");
    scene.store.link = "hung";
    scene.storeFault = new TwillError("STORE_UNAVAILABLE", "known to be away: nobody waits for it");
    assert.equal(told(await scene.open().register()), "10.5.1.0-24");
    assert.equal(told(await scene.open(3).register()), "NOT_LEADER");
  });

  it("answers in time when the leader does not", async () => {
    await using scene = await new Scene().start();
    scene.route = {
      ...noLeader,
      register: (_, signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => reject(TwillError.from(signal.reason)));
        }),
    };
    const asked = scene.open().register();
    await scene.clock.advance(14_000);
    assert.equal(told(await asked), "STORE_TIMEOUT");
  });
});

describe("a lease that vanishes under a connected node", () => {
  it("is claimed again at once, on the same subnet, and the node is told", async () => {
    await using scene = await new Scene().start();
    await scene.open().register();
    await settle();
    scene.memory.delete("subnets/10.5.1.0-24");
    await settle();
    await settle();
    assert.equal(scene.memory.get("subnets/10.5.1.0-24")?.value, leaseValue("10.99.0.2"));
    assert.deepEqual(scene.heard.map(told), ["10.5.1.0-24"]);
  });

  it("is claimed again when only its etcd lease turns out to be gone", async () => {
    await using scene = await new Scene().start();
    await scene.open().register();
    await settle();
    const etcdLease = scene.memory.get("subnets/10.5.1.0-24")?.etcdLease ?? "";
    scene.store.hidden.add(scene.memory.revision + 1);
    await scene.memory.revokeLease(etcdLease, NEVER);
    await scene.clock.advance(TTL * 1000);
    assert.deepEqual(scene.heard.map(told), ["10.5.1.0-24"]);
    assert.equal(scene.log.of("lease.lost").length, 1);
  });

  it("is asked for until a leader is there", async () => {
    await using scene = await new Scene().start();
    await scene.open().register();
    await settle();
    scene.route = noLeader;
    scene.memory.delete("subnets/10.5.1.0-24");
    await scene.clock.advance(20_000);
    assert.deepEqual(scene.heard, []);
    assert.ok(scene.asked > 3 && scene.asked < 10, String(scene.asked));
    scene.route = scene.leader;
    await scene.clock.advance(30_000);
    assert.deepEqual(scene.heard.map(told), ["10.5.1.0-24"]);
  });

  it("is left to the node when it asks for something else meanwhile", async () => {
    await using scene = await new Scene().start();
    const claim = scene.open();
    await claim.register();
    await settle();
    const ends: (() => void)[] = [];
    scene.route = {
      ...noLeader,
      async register(request, signal) {
        await new Promise<void>((resolve) => ends.push(resolve));
        return scene.leader.register(request, signal);
      },
    };
    scene.memory.delete("subnets/10.5.1.0-24");
    await settle();
    const asked = claim.register();
    await settle();
    for (const end of ends) end();
    assert.equal(told(await asked), "10.5.1.0-24");
    await settle();
    assert.deepEqual(scene.heard, [], "one answer, to the one who asked");
  });

  it("is the node's own affair when another sits there by then: it is told, and decides", async () => {
    await using scene = await new Scene().start();
    await scene.open().register();
    await settle();
    scene.store.rival = () => scene.memory.put("subnets/10.5.1.0-24", leaseValue("10.99.9.9"));
    scene.memory.delete("subnets/10.5.1.0-24");
    await settle();
    await settle();
    assert.deepEqual(scene.heard.map(told), ["SUBNET_TAKEN"]);
  });

  it("is not claimed for a node that released it, left, or never had it", async () => {
    await using scene = await new Scene().start();
    const released = scene.open(2);
    await released.register();
    await settle();
    await released.release();
    const left = scene.open(3);
    await left.register();
    await settle();
    left.close();
    scene.memory.delete("subnets/10.5.1.0-24");
    scene.open(4);
    await scene.clock.advance(60_000);
    assert.deepEqual(scene.heard, []);
    assert.equal(scene.asked, 2);
    const { entries } = await scene.memory.list("subnets/", { signal: NEVER });
    assert.deepEqual(entries, []);
  });
});

describe("etcd leases of connected nodes", () => {
  it("outlive their TTL while the node is connected, and end after it when it is not", async () => {
    await using scene = await new Scene().start();
    const stays = scene.open(2);
    const leaves = scene.open(3);
    await stays.register();
    await leaves.register();
    await settle();
    leaves.close();
    await scene.clock.advance(3 * TTL * 1000);
    const { entries } = await scene.memory.list("subnets/", { signal: NEVER });
    assert.deepEqual(
      entries.map(({ key }) => key),
      ["subnets/10.5.1.0-24"],
    );
  });
});

describe("without a leader", () => {
  it("a refusal says so, and when to ask again", async () => {
    const answer = await noLeader.release("a", NEVER);
    assert.deepEqual(
      answer,
      refused("NOT_LEADER", answer.kind === "refused" ? answer.message : ""),
    );
    assert.ok(answer.kind === "refused" && answer.retryAfterMs === 500);
  });
});
