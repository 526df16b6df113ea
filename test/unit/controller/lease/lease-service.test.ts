/** The leader's work on a whole store: races, lost answers, lost leadership, and back again. */
import assert from "node:assert/strict";
import { setMaxListeners } from "node:events";
import { describe, it } from "node:test";
import { TaskGroup } from "../../../../common/async/task-group.ts";
import { TwillError } from "../../../../common/errors.ts";
import type { Refused, Registered } from "../../../../controller/lease/allocator.ts";
import { LeaseService } from "../../../../controller/lease/lease-service.ts";
import type { Leadership } from "../../../../controller/store/store.ts";
import { WATCHED_RANGES } from "../../../../controller/view/keys.ts";
import { ViewService } from "../../../../controller/view/view-service.ts";
import { FaultyStore } from "../../../support/faulty-store.ts";
import { leaseValue, recordValue, subnetsOf, vxlanAttrs } from "../../../support/lease-texts.ts";
import { LogCapture } from "../../../support/log-capture.ts";
import { ManualClock, settle } from "../../../support/manual-clock.ts";
import { MemoryStore } from "../../../support/memory-store.ts";

const TTL = 3600;
const NEVER = new AbortController().signal;
setMaxListeners(0, NEVER);
const TIMEOUT = new TwillError("STORE_TIMEOUT", "no answer");

class Scene implements AsyncDisposable {
  readonly clock = new ManualClock();
  readonly memory = new MemoryStore(this.clock);
  readonly store = new FaultyStore(this.memory);
  readonly log = new LogCapture();
  readonly views: ViewService;
  readonly service: LeaseService;
  readonly group = new TaskGroup();
  readonly deposed = new AbortController();
  leading: Promise<void> = Promise.resolve();

  constructor() {
    const { store, clock, log } = this;
    const parts = { store, clock, log, random: () => 0.5 };
    this.views = new ViewService(parts);
    this.service = new LeaseService({ ...parts, views: this.views, ttlSeconds: TTL });
  }

  async start(config = '{"Network":"10.5.0.0/16","Backend":{"Type":"vxlan"}}'): Promise<this> {
    if (config !== "") this.memory.put("config", config);
    this.group.spawn((signal) => this.views.run(signal));
    await settle();
    this.lead();
    await settle();
    return this;
  }

  lead(): Leadership {
    const key = "twill/election/1a";
    const token = this.memory.put(key, "me");
    const leadership = { key, token, signal: this.deposed.signal };
    this.leading = this.service.lead(leadership);
    return leadership;
  }

  /** Registers node n with address 10.99.<n>. */
  register(n: number, previous?: string, mac?: string): Promise<Registered | Refused> {
    const attrs = vxlanAttrs(`10.99.${n >> 8}.${n & 255}`, mac);
    const before = previous === undefined ? undefined : subnetsOf(previous);
    return this.service.register({ node: `node-${n}`, attrs, previous: before }, NEVER);
  }

  async keys(): Promise<readonly string[]> {
    const { entries } = await this.memory.list("subnets/", { signal: NEVER });
    return entries.map(({ key }) => key.slice("subnets/".length));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.deposed.abort(new TwillError("NOT_LEADER", "the test is over"));
    await this.leading;
    this.group.abort();
    await this.group.join();
    await this.memory.close();
  }
}

function told(outcome: Registered | Refused): string {
  return outcome.kind === "refused" ? outcome.code : outcome.lease.key;
}

describe("the leader", () => {
  it("writes flannel's value and the node record in one revision, on a fresh etcd lease", async () => {
    await using scene = await new Scene().start();
    const outcome = await scene.register(2);
    assert.ok(outcome.kind === "registered");
    assert.equal(outcome.lease.key, "10.5.1.0-24");
    assert.equal(outcome.ttlSeconds, TTL);
    assert.equal(outcome.reused, false);
    const subnet = scene.memory.get("subnets/10.5.1.0-24");
    const record = scene.memory.get("twill/nodes/node-2");
    assert.equal(subnet?.value, leaseValue("10.99.0.2"));
    assert.equal(subnet?.createRevision, record?.createRevision);
    assert.equal(await scene.memory.timeToLive(subnet?.etcdLease ?? "", NEVER), TTL);
    assert.equal(record?.etcdLease, "0");
    await settle();
    assert.equal(scene.views.view.table.heldBy("node-2")?.lease.key, "10.5.1.0-24");
  });

  it("answers a node that asks again from the lease it has, without writing", async () => {
    await using scene = await new Scene().start();
    await scene.register(2);
    const { revision } = scene.memory;
    const again = await scene.register(2);
    assert.ok(again.kind === "registered" && again.reused && again.ttlSeconds === TTL);
    assert.equal(scene.memory.revision, revision);
  });

  it("gives a thousand nodes that ask at once a thousand different subnets", async () => {
    await using scene = await new Scene().start(
      '{"Network":"10.0.0.0/12","Backend":{"Type":"vxlan"}}',
    );
    const asked = Array.from({ length: 1000 }, (_, n) => scene.register(n));
    const outcomes = await Promise.all(asked);
    assert.equal(new Set(outcomes.map(told)).size, 1000);
    assert.equal((await scene.keys()).length, 1000);
    assert.equal(
      scene.store.calls.get("list"),
      3 * WATCHED_RANGES.length,
      "history, table and leadership; none per node",
    );
  });

  it("serves one node's requests one after the other", async () => {
    await using scene = await new Scene().start();
    const outcomes = await Promise.all([scene.register(2), scene.register(2), scene.register(2)]);
    assert.deepEqual(outcomes.map(told), ["10.5.1.0-24", "10.5.1.0-24", "10.5.1.0-24"]);
    assert.equal(scene.store.calls.get("grantLease"), 1);
  });

  it("takes the next subnet when a real flannel was faster", async () => {
    await using scene = await new Scene().start();
    scene.store.rival = () => scene.memory.put("subnets/10.5.1.0-24", leaseValue("10.99.9.9"));
    assert.equal(told(await scene.register(2)), "10.5.2.0-24");
    assert.equal(scene.memory.get("subnets/10.5.1.0-24")?.value, leaseValue("10.99.9.9"));
    assert.equal(scene.store.calls.get("grantLease"), 1, "the same etcd lease is used");
  });

  it("recognises its own write when the answer was lost", async () => {
    await using scene = await new Scene().start();
    scene.store.loseAnswer("transact");
    assert.equal(told(await scene.register(2)), "10.5.1.0-24");
    assert.deepEqual(await scene.keys(), ["10.5.1.0-24"]);
    assert.deepEqual(scene.store.unconsumed, []);
  });

  it("makes a write that was lost on the way harmless before it tries again", async () => {
    await using scene = await new Scene().start();
    scene.store.refusing.set("transact", TIMEOUT);
    scene.store.refusing.set("list", TIMEOUT);
    const asked = scene.register(2);
    await settle();
    const other = await Promise.race([scene.register(2), settle().then(() => "waits")]);
    assert.equal(other, "waits", "nothing is decided for the node meanwhile");
    scene.store.refusing.clear();
    await scene.clock.advance(1000);
    assert.equal(told(await asked), "10.5.1.0-24");
    assert.equal(scene.store.calls.get("grantLease"), 2);
    assert.equal(scene.store.calls.get("revokeLease"), 1);
  });

  it("writes nothing once another leads, even if it does not know yet", async () => {
    await using scene = await new Scene().start();
    scene.memory.delete("twill/election/1a");
    scene.memory.put("twill/election/1a", "a later campaign");
    const { revision } = scene.memory;
    assert.equal(told(await scene.register(2)), "NOT_LEADER");
    assert.equal(scene.memory.revision, revision);
    assert.equal(scene.store.calls.get("revokeLease"), 1, "its etcd lease is given back");
  });

  it("ends its term with everything under way when leadership is lost in the middle", async () => {
    await using scene = await new Scene().start();
    scene.store.link = "hung";
    const asked = scene.register(2);
    await settle();
    scene.deposed.abort(new TwillError("NOT_LEADER", "deadline"));
    assert.equal(told(await asked), "NOT_LEADER");
    await scene.leading;
    assert.equal(scene.service.isLeading, false);
    assert.equal(told(await scene.register(3)), "NOT_LEADER");
    scene.store.link = "up";
  });

  it("knows what earlier leaders wrote before it decides anything", async () => {
    await using scene = new Scene();
    scene.memory.put("config", '{"Network":"10.5.0.0/16","Backend":{"Type":"vxlan"}}');
    scene.group.spawn((signal) => scene.views.run(signal));
    await settle();
    scene.store.hidden.add(scene.memory.put("subnets/10.5.1.0-24", leaseValue("10.99.9.9")));
    scene.lead();
    await settle();
    assert.equal(told(await scene.register(2)), "10.5.2.0-24");
  });

  it("lets the caller stop waiting, but finishes what it began", async () => {
    await using scene = await new Scene().start();
    scene.store.link = "hung";
    const caller = new AbortController();
    const attrs = vxlanAttrs("10.99.0.2");
    const asked = scene.service.register({ node: "a", attrs, previous: undefined }, caller.signal);
    await settle();
    const reason = new TwillError("CONTROLLER_UNAVAILABLE", "deadline");
    caller.abort(reason);
    await assert.rejects(asked, reason);
    scene.store.link = "up";
    await settle();
    await settle();
    assert.deepEqual(await scene.keys(), ["10.5.1.0-24"]);
  });

  it("says why a node must wait while etcd is away, or has no config", async () => {
    await using scene = await new Scene().start("");
    const outcome = await scene.register(2);
    assert.ok(outcome.kind === "refused");
    assert.equal(outcome.code, "CONFIG_MISSING");
    assert.match(outcome.message, /etcd holds no config key/);
    scene.memory.put("config", '{"Network":"10.5.0.0/16","Backend":{"Type":"vxlan"}}');
    await settle();
    scene.store.link = "down";
    assert.equal(told(await scene.register(2)), "STORE_UNAVAILABLE");
    scene.store.link = "up";
    assert.equal(told(await scene.register(2)), "10.5.1.0-24");
  });

  it("claims a lease anew when its etcd lease is gone before the table knows", async () => {
    await using scene = await new Scene().start();
    await scene.register(2);
    await settle();
    const etcdLease = scene.memory.get("subnets/10.5.1.0-24")?.etcdLease ?? "";
    scene.store.hidden.add(scene.memory.revision + 1);
    await scene.memory.revokeLease(etcdLease, NEVER);
    const again = await scene.register(2);
    assert.ok(again.kind === "registered" && again.reused);
    assert.equal(again.lease.key, "10.5.1.0-24");
    assert.notEqual(scene.memory.get("subnets/10.5.1.0-24")?.etcdLease, etcdLease);
  });

  it("follows a changed config at once, and moves who no longer fits", async () => {
    await using scene = await new Scene().start();
    await scene.register(2);
    scene.memory.put("config", '{"Network":"10.6.0.0/16","Backend":{"Type":"vxlan"}}');
    await settle();
    const moved = await scene.register(2);
    assert.ok(moved.kind === "registered" && !moved.reused);
    assert.deepEqual(await scene.keys(), ["10.6.1.0-24"]);
  });
});

describe("reservations", () => {
  it("are claimed, updated and released without ever getting an etcd lease or going away", async () => {
    await using scene = await new Scene().start();
    scene.memory.put("subnets/10.5.7.0-24", leaseValue("10.99.0.2"), "0");
    await settle();
    const claimed = await scene.register(2);
    assert.ok(claimed.kind === "registered");
    assert.deepEqual([claimed.lease.key, claimed.ttlSeconds], ["10.5.7.0-24", 0]);
    await scene.register(2, undefined, "aa:bb:cc:00:00:99");
    assert.match(scene.memory.get("subnets/10.5.7.0-24")?.value ?? "", /00:00:99/);
    assert.equal(scene.memory.get("subnets/10.5.7.0-24")?.etcdLease, "0");
    await scene.service.release("node-2", NEVER);
    await settle();
    assert.deepEqual(await scene.keys(), ["10.5.7.0-24"]);
    assert.equal(scene.views.view.table.heldBy("node-2"), undefined);
    assert.equal(told(await scene.register(2)), "10.5.7.0-24");
    assert.equal(scene.store.calls.get("grantLease"), undefined);
  });
});

describe("a release", () => {
  it("frees the subnet at once, and gives it back to the node if it returns first", async () => {
    await using scene = await new Scene().start();
    await scene.register(2);
    await scene.register(3);
    const etcdLease = scene.memory.get("subnets/10.5.1.0-24")?.etcdLease ?? "";
    const released = await scene.service.release("node-2", NEVER);
    assert.deepEqual(released, { kind: "released", key: "10.5.1.0-24" });
    assert.deepEqual(await scene.keys(), ["10.5.2.0-24"]);
    assert.equal(await scene.memory.timeToLive(etcdLease, NEVER), undefined);
    const again = await scene.register(2);
    assert.ok(again.kind === "registered" && again.reused);
    assert.equal(again.lease.key, "10.5.1.0-24");
  });

  it("of a node without a lease is refused, and says so", async () => {
    await using scene = await new Scene().start();
    const outcome = await scene.service.release("node-9", NEVER);
    assert.ok(outcome.kind === "refused");
    assert.match(outcome.message, /node node-9 holds no lease/);
  });

  it("is recognised when its answer was lost", async () => {
    await using scene = await new Scene().start();
    await scene.register(2);
    scene.store.loseAnswer("transact");
    const released = await scene.service.release("node-2", NEVER);
    assert.equal(released.kind, "released");
    assert.deepEqual(await scene.keys(), []);
  });
});

describe("a node record that nobody can read", () => {
  it("does not keep its node out, and is mended", async () => {
    await using scene = await new Scene().start();
    scene.memory.put("twill/nodes/node-2", "rubbish");
    await settle();
    assert.equal(told(await scene.register(2)), "10.5.1.0-24");
    const record = scene.memory.get("twill/nodes/node-2")?.value ?? "";
    const expected = recordValue("node-2", "10.5.1.0-24", "10.99.0.2");
    assert.equal(record.replaceAll(/\d\d:\d\d:\d\d\.\d{3}/g, "00:00:00.000"), expected);
  });
});
