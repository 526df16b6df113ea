/** The view follows the store over compaction, faults, restored backups and lost events. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TaskGroup } from "../../../../common/async/task-group.ts";
import { TwillError } from "../../../../common/errors.ts";
import { formatDigest } from "../../../../common/lease/lease-digest.ts";
import { DEFAULT_STORM_LIMITS, STORM_CALM_MS } from "../../../../controller/view/expiry-storm.ts";
import { resume } from "../../../../controller/view/feed.ts";
import type { ViewChange } from "../../../../controller/view/lease-view.ts";
import { ViewService } from "../../../../controller/view/view-service.ts";
import { FaultyStore } from "../../../support/faulty-store.ts";
import { leaseValue } from "../../../support/lease-texts.ts";
import { LogCapture } from "../../../support/log-capture.ts";
import { ManualClock, settle } from "../../../support/manual-clock.ts";
import { MemoryStore } from "../../../support/memory-store.ts";

const CONFIG = '{"Network":"10.5.0.0/16","Backend":{"Type":"vxlan"}}';
const DOWN = new TwillError("STORE_UNAVAILABLE", "etcd does not answer");

class Scene implements AsyncDisposable {
  readonly clock = new ManualClock();
  readonly memory = new MemoryStore(this.clock);
  readonly store = new FaultyStore(this.memory);
  readonly log = new LogCapture();
  readonly changes: ViewChange[] = [];
  readonly service = new ViewService({
    store: this.store,
    clock: this.clock,
    log: this.log,
    random: () => 0.5,
    storm: DEFAULT_STORM_LIMITS,
  });
  readonly #group = new TaskGroup();

  put(subnet: number, ip = subnet): number {
    return this.memory.put(`subnets/10.5.${subnet}.0-24`, leaseValue(`10.99.0.${ip}`));
  }

  async start(): Promise<void> {
    this.service.view.onChange((change) => this.changes.push(change));
    this.#group.spawn((signal) => this.service.run(signal));
    await settle();
  }

  get keys(): readonly string[] {
    return [...this.service.view.table.rows.keys()];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#group.abort();
    await this.#group.join();
    await this.memory.close();
  }
}

describe("the view service", () => {
  it("lists what is there and follows what comes", async () => {
    await using scene = new Scene();
    scene.memory.put("config", CONFIG);
    scene.put(1);
    await scene.start();
    assert.equal(scene.service.isReady, true);
    assert.deepEqual(scene.keys, ["10.5.1.0-24"]);
    scene.put(2);
    await settle();
    assert.deepEqual(scene.keys, ["10.5.1.0-24", "10.5.2.0-24"]);
    assert.equal(scene.changes.at(-1)?.change.upserts[0]?.lease.key, "10.5.2.0-24");
    assert.equal(scene.service.view.config.accepted?.json, CONFIG);
    assert.deepEqual(scene.log.names, ["config.accepted", "table.loaded"]);
  });

  it("knows the history of before its start, so that agents resume", async () => {
    await using scene = new Scene();
    const revision = scene.put(1);
    await using before = new Scene();
    before.put(1);
    await before.start();
    scene.put(2);
    scene.memory.delete("subnets/10.5.2.0-24");
    scene.put(3);
    await scene.start();
    const digest = formatDigest(before.service.view.table.digest);
    const held = { instance: scene.service.view.instance, revision, digest };
    assert.equal(resume(held, held.instance, scene.service.view.chain).kind, "resume");
    assert.equal(scene.changes.length, 1, "history is not news");
  });

  it("does without history when etcd has forgotten it", async () => {
    await using scene = new Scene();
    scene.put(1);
    scene.put(2);
    scene.memory.compact(scene.memory.revision);
    await scene.start();
    assert.equal(scene.service.isReady, true);
    assert.equal(scene.service.view.chain.length, 1);
  });

  it("lists again after compaction, and what changed meanwhile is one crumb", async () => {
    await using scene = new Scene();
    scene.put(1);
    scene.put(2);
    await scene.start();
    scene.store.refusing.set("watch", new TwillError("STORE_COMPACTED", "history is gone"));
    scene.memory.delete("subnets/10.5.1.0-24");
    scene.put(2, 99);
    scene.put(3);
    await settle();
    scene.store.refusing.clear();
    await scene.clock.advance(10_000);
    assert.deepEqual(scene.keys, ["10.5.2.0-24", "10.5.3.0-24"]);
    const [resynced] = scene.log.of("watch.resynced");
    assert.deepEqual([resynced?.fields["upserts"], resynced?.fields["removes"]], [2, 1]);
    assert.equal(scene.service.fault, undefined);
  });

  it("keeps what it knows while etcd is away, tries again with back-off, and says so", async () => {
    await using scene = new Scene();
    scene.put(1);
    await scene.start();
    for (const call of ["watch", "list", "instance"] as const) scene.store.refusing.set(call, DOWN);
    scene.put(2);
    await settle();
    assert.equal(scene.service.fault?.code, "STORE_UNAVAILABLE");
    assert.equal(scene.service.isReady, true);
    const before = scene.store.calls.get("instance") ?? 0;
    await scene.clock.advance(60_000);
    const tries = (scene.store.calls.get("instance") ?? 0) - before;
    assert.ok(tries >= 10 && tries <= 20, `${tries} tries in a minute`);
    scene.store.refusing.clear();
    await scene.clock.advance(10_000);
    assert.deepEqual(scene.keys, ["10.5.1.0-24", "10.5.2.0-24"]);
    assert.equal(scene.service.fault, undefined);
  });

  it("waits for etcd at the start without an end and without haste", async () => {
    await using scene = new Scene();
    scene.store.refusing.set("instance", DOWN);
    await scene.start();
    await scene.clock.advance(60_000);
    assert.equal(scene.service.isReady, false);
    assert.ok((scene.store.calls.get("instance") ?? 0) < 20);
    scene.store.refusing.clear();
    await scene.clock.advance(10_000);
    assert.equal(scene.service.isReady, true);
  });

  it("finds and heals what the watch did not tell, within a period, and says so", async () => {
    await using scene = new Scene();
    scene.put(1);
    await scene.start();
    scene.store.hidden.add(scene.put(2));
    await settle();
    assert.deepEqual(scene.keys, ["10.5.1.0-24"]);
    await scene.clock.advance(63_000);
    assert.deepEqual(scene.keys, ["10.5.1.0-24", "10.5.2.0-24"]);
    const [diverged] = scene.log.of("table.diverged");
    assert.equal(diverged?.fields["example"], "subnets/10.5.2.0-24");
  });

  it("does not cry divergence while nothing is wrong", async () => {
    await using scene = new Scene();
    scene.put(1);
    await scene.start();
    await scene.clock.advance(600_000);
    assert.deepEqual(scene.log.of("table.diverged"), []);
  });

  it("holds an expiry storm back until etcd has confirmed it, however long that takes", async () => {
    await using scene = new Scene();
    const signal = new AbortController().signal;
    const id = await scene.memory.grantLease(60, signal);
    for (let n = 1; n <= 8; n += 1) {
      scene.memory.put(`subnets/10.5.${n}.0-24`, leaseValue(`10.99.0.${n}`), id);
    }
    scene.put(9);
    await scene.start();
    await scene.memory.revokeLease(id, signal);
    await settle();
    const { view } = scene.service;
    assert.equal(view.heldBack.size, 8);
    assert.equal(scene.log.of("withdrawals.held").length, 1);
    scene.store.refusing.set("list", DOWN);
    await scene.clock.advance(10 * STORM_CALM_MS);
    assert.equal(view.published.rows.size, 9, "an etcd without quorum confirms nothing");
    scene.store.refusing.clear();
    await scene.clock.advance(STORM_CALM_MS);
    assert.deepEqual([...view.published.rows.keys()], ["10.5.9.0-24"]);
    assert.equal(scene.log.of("withdrawals.passed")[0]?.fields["leases"], 8);
    assert.equal(scene.changes.at(-1)?.change.removes.length, 8);
  });

  it("begins history anew when etcd was rebuilt", async () => {
    await using scene = new Scene();
    scene.put(1);
    await scene.start();
    scene.store.refusing.set("watch", new TwillError("STORE_COMPACTED", "history went back"));
    scene.memory.setInstance("another cluster");
    scene.put(2);
    await settle();
    scene.store.refusing.clear();
    await scene.clock.advance(10_000);
    assert.equal(scene.service.view.instance, "another cluster");
    assert.equal(scene.changes.at(-1)?.isReset, true);
    assert.deepEqual(scene.keys, ["10.5.1.0-24", "10.5.2.0-24"]);
  });
});

describe("the log of the view", () => {
  it("names each malformed key once", async () => {
    await using scene = new Scene();
    scene.memory.put("subnets/rubbish", "?");
    await scene.start();
    scene.memory.put("subnets/10.5.1.0-24", "?");
    await scene.clock.advance(300_000);
    const keys = scene.log.of("record.malformed").map(({ fields }) => fields.key);
    assert.deepEqual(keys, ["subnets/rubbish", "subnets/10.5.1.0-24"]);
  });

  it("says when a config is refused, why, and what stays in force", async () => {
    await using scene = new Scene();
    scene.memory.put("config", CONFIG);
    await scene.start();
    scene.memory.put("config", '{"Network":"nonsense"}');
    scene.memory.delete("config");
    await settle();
    const [rejected] = scene.log.of("config.rejected");
    assert.match(rejected?.message ?? "", /the last good one \(revision 2\) stays.*\$\.Network/);
    assert.equal(scene.log.of("config.missing").length, 1);
    assert.equal(scene.service.view.config.accepted?.json, CONFIG);
  });

  it("warns aloud when udp leases of real flannel stand beside a config without Backend", async () => {
    await using scene = new Scene();
    scene.memory.put("config", '{"Network":"10.5.0.0/16"}');
    await scene.start();
    assert.equal(scene.log.of("config.warning").length, 1);
    assert.equal(scene.log.of("config.ambiguous").length, 0);
    scene.memory.put("subnets/10.5.9.0-24", '{"PublicIP":"10.99.0.9","PublicIPv6":null}');
    await settle();
    const [ambiguous] = scene.log.of("config.ambiguous");
    assert.match(ambiguous?.message ?? "", /10\.5\.9\.0-24 .*write Backend into the config/);
  });
});
