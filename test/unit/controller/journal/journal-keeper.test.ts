/** The leader writes down what went past it, exactly once, and keeps the journal short. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TaskGroup } from "../../../../common/async/task-group.ts";
import { TwillError } from "../../../../common/errors.ts";
import { readJournal, type WrittenEntry } from "../../../../controller/journal/journal-entry.ts";
import { keepJournal } from "../../../../controller/journal/journal-keeper.ts";
import { LeaseService } from "../../../../controller/lease/lease-service.ts";
import { ViewService } from "../../../../controller/view/view-service.ts";
import { leaseValue, vxlanAttrs } from "../../../support/lease-texts.ts";
import { LogCapture } from "../../../support/log-capture.ts";
import { ManualClock, settle } from "../../../support/manual-clock.ts";
import { MemoryStore } from "../../../support/memory-store.ts";

const NEVER = new AbortController().signal;
const CONFIG = '{"Network":"10.5.0.0/16","Backend":{"Type":"vxlan"}}';
const FOREIGN = "subnets/10.5.9.0-24";

class Scene implements AsyncDisposable {
  readonly clock = new ManualClock();
  readonly store = new MemoryStore(this.clock);
  readonly #group = new TaskGroup();
  readonly #views: ViewService;
  readonly #service: LeaseService;
  #deposed = new AbortController();
  #leading: Promise<unknown> = Promise.resolve();

  constructor() {
    const parts = { ...this, log: new LogCapture(), random: () => 0.5 };
    this.#views = new ViewService(parts);
    this.#service = new LeaseService({ ...parts, views: this.#views, ttlSeconds: 3600 });
    this.#group.spawn((signal) => this.#views.run(signal));
  }

  async lead(length = 100): Promise<void> {
    await settle();
    this.#deposed = new AbortController();
    const key = "twill/election/1a";
    const leadership = { key, token: this.store.put(key, "me"), signal: this.#deposed.signal };
    const parts = { ...this, view: this.#views.view, random: () => 0.5, length };
    this.#leading = Promise.all([this.#service.lead(leadership), keepJournal(parts, leadership)]);
    await this.clock.advance(2000);
  }

  async depose(): Promise<void> {
    this.#deposed.abort(new TwillError("NOT_LEADER", "another leads"));
    await this.#leading;
    this.store.delete("twill/election/1a");
  }

  async register(n: number): Promise<void> {
    const attrs = vxlanAttrs(`10.99.0.${n}`);
    await this.#service.register({ node: `node-${n}`, attrs, previous: undefined }, NEVER);
  }

  async journal(): Promise<readonly WrittenEntry[]> {
    return readJournal((await this.store.list("twill/journal/", { signal: NEVER })).entries);
  }

  async told(): Promise<readonly string[]> {
    return (await this.journal()).map(({ by, action, subject }) => `${by} ${action} ${subject}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.depose();
    this.#group.abort();
    await this.#group.join();
    await this.store.close();
  }
}

describe("the journal", () => {
  it("has a node's lease in the revision that gave it out", async () => {
    await using scene = new Scene();
    scene.store.put("config", CONFIG);
    await scene.lead();
    await scene.register(1);
    await scene.clock.advance(5000);
    const [entry] = await scene.journal();
    assert.deepEqual(await scene.told(), ["node/node-1 lease.allocated node-1"]);
    assert.equal(entry?.revision, scene.store.get("subnets/10.5.1.0-24")?.createRevision);
    const value = leaseValue("10.99.0.1");
    assert.deepEqual(entry?.changes, [
      { key: "subnets/10.5.1.0-24", before: undefined, after: { value, forever: false } },
    ]);
  });

  it("is told what went past the controllers, with its revision, once", async () => {
    await using scene = new Scene();
    scene.store.put("config", CONFIG);
    await scene.lead();
    await scene.register(1);
    const put = scene.store.put(FOREIGN, leaseValue("10.99.0.9"));
    await scene.clock.advance(5000);
    const gone = scene.store.delete(FOREIGN);
    await scene.clock.advance(5000);
    const revisions = (await scene.journal()).map(({ revision }) => revision);
    assert.deepEqual(revisions.slice(1), [put, gone]);
    assert.deepEqual((await scene.told()).slice(1), [
      "outside store.changed 10.5.9.0-24",
      "outside store.changed 10.5.9.0-24",
    ]);
  });

  it("is told by the next leader what happened while nobody led", async () => {
    await using scene = new Scene();
    scene.store.put("config", CONFIG);
    await scene.lead();
    await scene.register(1);
    await scene.depose();
    const changed = scene.store.put("config", CONFIG.replace("/16", "/15"));
    await settle();
    await scene.lead();
    const entries = await scene.journal();
    assert.deepEqual(await scene.told(), [
      "node/node-1 lease.allocated node-1",
      "outside store.changed config",
    ]);
    assert.equal(entries[1]?.revision, changed);
  });

  it("is cut to the newest entries", async () => {
    await using scene = new Scene();
    scene.store.put("config", CONFIG);
    await scene.lead(10);
    for (let n = 1; n <= 40; n += 1) await scene.register(n);
    await scene.clock.advance(5000);
    const told = await scene.told();
    assert.equal(told.length, 10);
    assert.equal(told.at(-1), "node/node-40 lease.allocated node-40");
  });
});
