/** The leader does exactly what was agreed to, and tells the journal who asked; or nothing. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TaskGroup } from "../../../../common/async/task-group.ts";
import { TwillError } from "../../../../common/errors.ts";
import type { ChangeRequest } from "../../../../controller/change/change.ts";
import { ChangeDesk } from "../../../../controller/change/change-desk.ts";
import { readJournal } from "../../../../controller/journal/journal-entry.ts";
import { ViewService } from "../../../../controller/view/view-service.ts";
import { leaseValue, recordValue } from "../../../support/lease-texts.ts";
import { LogCapture } from "../../../support/log-capture.ts";
import { ManualClock, settle } from "../../../support/manual-clock.ts";
import { MemoryStore } from "../../../support/memory-store.ts";

const NEVER = new AbortController().signal;
const CONFIG = '{"Network":"10.5.0.0/16","Backend":{"Type":"vxlan"}}';
const KEY = "10.5.1.0-24";
const ELECTION = "twill/election/1a";
const DRAIN: ChangeRequest = { kind: "drain", node: "a" };

class Scene implements AsyncDisposable {
  readonly clock = new ManualClock();
  readonly store = new MemoryStore(this.clock);
  readonly desk: ChangeDesk;
  readonly deposed = new AbortController();
  readonly #group = new TaskGroup();

  constructor() {
    const views = new ViewService({ ...this, log: new LogCapture(), random: () => 0.5 });
    this.desk = new ChangeDesk({ ...this, views });
    this.#group.spawn((signal) => views.run(signal));
  }

  async start(): Promise<this> {
    this.store.put("config", CONFIG);
    this.store.put(`subnets/${KEY}`, leaseValue("10.99.0.1"));
    this.store.put("twill/nodes/a", recordValue("a", KEY, "10.99.0.1"));
    const token = this.store.put(ELECTION, "me");
    await settle();
    this.desk.lead({ key: ELECTION, token, signal: this.deposed.signal });
    return this;
  }

  async agreed(request: ChangeRequest) {
    const planned = await this.desk.plan(request, "operator/alice", NEVER);
    assert.ok(planned.kind === "plan");
    return { request, basis: planned.basis };
  }

  async codeOf(work: Promise<unknown>): Promise<string> {
    return work.then(
      () => "done",
      (error: unknown) => TwillError.from(error).code,
    );
  }

  async journal(): Promise<readonly string[]> {
    const { entries } = await this.store.list("twill/journal/", { signal: NEVER });
    return readJournal(entries).map(({ by, action, subject }) => `${by} ${action} ${subject}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#group.abort();
    await this.#group.join();
    await this.store.close();
  }
}

describe("an agreed plan", () => {
  it("is done in one revision with its entry, and is nothing to do the second time", async () => {
    await using scene = await new Scene().start();
    const agreed = await scene.agreed(DRAIN);
    const revision = await scene.desk.apply(agreed, "operator/alice", NEVER);
    assert.equal(revision, scene.store.revision);
    assert.equal(scene.store.get(`subnets/${KEY}`), undefined);
    assert.equal(scene.store.get("twill/nodes/a")?.modRevision, revision);
    assert.deepEqual(await scene.journal(), ["operator/alice node.drained a"]);
    assert.equal(await scene.desk.apply(agreed, "operator/alice", NEVER), 0);
  });

  it("is refused when what it stood on has changed, also by the very same values", async () => {
    await using scene = await new Scene().start();
    const agreed = await scene.agreed(DRAIN);
    const changed = scene.store.put(`subnets/${KEY}`, leaseValue("10.99.0.1"));
    const code = await scene.codeOf(scene.desk.apply(agreed, "operator/alice", NEVER));
    assert.equal(code, "PLAN_STALE");
    assert.equal(scene.store.revision, changed, "nothing was written");
  });

  it("is not done by who no longer leads", async () => {
    await using scene = await new Scene().start();
    const agreed = await scene.agreed(DRAIN);
    scene.store.delete(ELECTION);
    const fenced = await scene.codeOf(scene.desk.apply(agreed, "operator/alice", NEVER));
    assert.equal(fenced, "NOT_LEADER");
    scene.deposed.abort(new TwillError("NOT_LEADER", "another leads"));
    const deposed = await scene.codeOf(scene.desk.apply(agreed, "operator/alice", NEVER));
    assert.equal(deposed, "NOT_LEADER");
    assert.deepEqual(await scene.journal(), []);
  });
});
