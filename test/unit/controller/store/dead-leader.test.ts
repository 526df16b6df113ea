/** A leader's key is ended only on proof that its process is gone, and only its own. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TaskGroup } from "../../../../common/async/task-group.ts";
import { Trigger } from "../../../../common/async/trigger.ts";
import { TwillError } from "../../../../common/errors.ts";
import { buryDeadLeaders, type LeaderLine } from "../../../../controller/store/dead-leader.ts";
import { FaultyStore } from "../../../support/faulty-store.ts";
import { LogCapture } from "../../../support/log-capture.ts";
import { ManualClock, settle } from "../../../support/manual-clock.ts";
import { MemoryStore } from "../../../support/memory-store.ts";

type Process = "alive" | "dead" | "silent";
const KEY = "twill/election/1a";

/** What a follower sees of one process, as the test says. */
class ScriptedLine implements LeaderLine {
  #process: Process = "alive";
  readonly #changed = new Trigger();
  readonly asked: string[] = [];

  set process(process: Process) {
    this.#process = process;
    this.#changed.kick();
  }

  async hold(address: string, signal: AbortSignal): Promise<{ readonly connected: boolean }> {
    this.asked.push(address);
    const connected = this.#process === "alive";
    while (this.#process === "alive") await this.#changed.wait(signal);
    return { connected };
  }

  async refuses(): Promise<boolean> {
    return this.#process === "dead";
  }
}

class Scene implements AsyncDisposable {
  readonly clock = new ManualClock();
  readonly memory = new MemoryStore(this.clock);
  readonly store = new FaultyStore(this.memory);
  readonly log = new LogCapture();
  readonly line = new ScriptedLine();
  readonly #group = new TaskGroup();

  async start(leader = "leader"): Promise<this> {
    this.memory.put(KEY, leader);
    const { store, clock, log, line } = this;
    const addressOf = (value: string): string | undefined => (value === "?" ? undefined : value);
    const parts = { store, clock, log, line, self: "self", addressOf, random: () => 0.5 };
    this.#group.spawn((signal) => buryDeadLeaders(parts, signal));
    await settle();
    return this;
  }

  get isBuried(): boolean {
    return this.memory.get(KEY) === undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#group.abort();
    await this.#group.join();
    await this.memory.close();
  }
}

describe("a dead leader's key", () => {
  it("is ended when its connection ended and its address refuses twice", async () => {
    await using scene = await new Scene().start();
    scene.line.process = "dead";
    await scene.clock.advance(199);
    assert.equal(scene.isBuried, false);
    await scene.clock.advance(1);
    assert.equal(scene.isBuried, true);
    assert.equal(scene.log.of("leader.buried")[0]?.fields["address"], "leader");
  });

  it("stays when nothing answers: silence proves nothing", async () => {
    await using scene = await new Scene().start();
    scene.line.process = "silent";
    await scene.clock.advance(60_000);
    assert.equal(scene.isBuried, false);
  });

  it("stays when the process is back before the second look", async () => {
    await using scene = await new Scene().start();
    scene.line.process = "dead";
    await scene.clock.advance(100);
    scene.line.process = "alive";
    await scene.clock.advance(60_000);
    assert.equal(scene.isBuried, false);
  });

  it("stays when this replica never was connected: the address may be wrong", async () => {
    const scene = new Scene();
    scene.line.process = "dead";
    await using started = await scene.start();
    await started.clock.advance(60_000);
    assert.equal(started.isBuried, false);
  });

  it("stays when the same replica stands anew under it", async () => {
    await using scene = await new Scene().start();
    scene.store.rival = () => {
      scene.memory.delete(KEY);
      scene.memory.put(KEY, "leader");
    };
    scene.line.process = "dead";
    await scene.clock.advance(200);
    assert.equal(scene.isBuried, false);
    assert.equal(scene.store.rival, undefined);
    assert.deepEqual(scene.log.of("leader.buried"), []);
  });

  it("is tried again while etcd does not take the write", async () => {
    await using scene = await new Scene().start();
    scene.store.refusing.set("transact", new TwillError("STORE_UNAVAILABLE", "no endpoint"));
    scene.line.process = "dead";
    await scene.clock.advance(5_000);
    assert.equal(scene.isBuried, false);
    scene.store.refusing.clear();
    await scene.clock.advance(2_000);
    assert.equal(scene.isBuried, true);
  });

  it("is nothing to this replica when it leads itself or the leader is not Twill's", async () => {
    for (const leader of ["self", "?"]) {
      await using scene = await new Scene().start(leader);
      scene.line.process = "dead";
      await scene.clock.advance(5_000);
      assert.equal(scene.isBuried, false);
      assert.deepEqual(scene.line.asked, []);
    }
  });
});
