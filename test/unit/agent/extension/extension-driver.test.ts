/** The operator's commands are run in order, bounded, again when they fail, and never too often. */
import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import {
  COMMAND_TIMEOUT_MS,
  ExtensionDriver,
  type WantedExtension,
} from "../../../../agent/extension/extension-driver.ts";
import {
  parseRemembered,
  type RememberedPeer,
  renderRemembered,
} from "../../../../agent/extension/extension-memory.ts";
import type { CommandOptions, CommandOutput } from "../../../../agent/kernel/command.ts";
import type { ExtensionCall, ExtensionPeer } from "../../../../agent/plan/backend-planner.ts";
import { TwillError } from "../../../../common/errors.ts";
import { LogCapture } from "../../../support/log-capture.ts";
import { ManualClock, settle } from "../../../support/manual-clock.ts";

function call(program: string, stdin = ""): ExtensionCall {
  return { argv: [program], environment: { SUBNET: "10.244.2.0/24" }, stdin };
}

function peer(key: string, data = ""): ExtensionPeer {
  return { key, add: call(`add-${key}`, data), remove: call(`remove-${key}`, data) };
}

const WANTED: WantedExtension = {
  preStartup: call("pre"),
  postStartup: call("post"),
  hasLease: true,
};

const broken = new TwillError("COMMAND_FAILED", "exit code 1");

function start(t: TestContext, remembered: readonly RememberedPeer[] = []) {
  const clock = new ManualClock();
  const log = new LogCapture();
  const ran: string[] = [];
  const seen: CommandOptions[] = [];
  const failing = new Set<string>();
  const kept: string[] = [];
  const output: CommandOutput = { exitCode: 0, stdout: " said \n", stderr: "more\n" };
  let told = 0;
  const driver = new ExtensionDriver({
    run: async ([program], options) => {
      ran.push(program);
      seen.push(options);
      await Promise.resolve();
      options.signal.throwIfAborted();
      if (failing.has(program)) throw broken;
      return output;
    },
    clock,
    log,
    random: () => 0.5,
    memory: {
      read: async () => remembered,
      write: async (peers) => {
        kept.push(peers.map(({ key }) => key).join(" "));
      },
    },
  });
  driver.onChange(() => {
    told += 1;
  });
  const stop = new AbortController();
  const running = driver.run(stop.signal).catch((error: unknown) => error);
  t.after(async () => {
    stop.abort();
    await running;
  });
  const idle = async (): Promise<void> => {
    for (let turn = 0; turn < 20; turn += 1) await settle();
  };
  return { clock, log, ran, seen, failing, kept, driver, idle, told: () => told };
}

describe("the extension driver", () => {
  it("prepares, then starts with the lease, then adds the peers", async (t) => {
    const { driver, ran, idle, told } = start(t);
    driver.setPeers([peer("b")], true);
    driver.setWanted({ ...WANTED, postStartup: undefined, hasLease: false });
    await idle();
    assert.deepEqual(ran, ["pre"]);
    assert.equal(driver.data, '"said \\nmore"');
    assert.equal(told(), 1);
    driver.setWanted(WANTED);
    await idle();
    assert.deepEqual(ran, ["pre", "post", "add-b"]);
  });

  it("has no data without a first command", async (t) => {
    const { driver, idle, told } = start(t);
    assert.equal(driver.data, undefined);
    driver.setWanted({ preStartup: undefined, postStartup: undefined, hasLease: false });
    await idle();
    assert.deepEqual([driver.data, told()], ["", 1]);
  });

  it("bounds every command", async (t) => {
    const { driver, seen, idle } = start(t);
    driver.setWanted(WANTED);
    await idle();
    assert.ok(seen.every(({ timeoutMs }) => timeoutMs === COMMAND_TIMEOUT_MS));
  });

  it("runs nothing twice, but again what a peer's change asks for", async (t) => {
    const { driver, ran, idle } = start(t);
    driver.setWanted(WANTED);
    driver.setPeers([peer("a"), peer("b")], true);
    await idle();
    ran.length = 0;
    driver.setWanted(WANTED);
    driver.setPeers([peer("a"), peer("b", "new")], true);
    await idle();
    assert.deepEqual(ran, ["add-b"]);
  });

  it("removes peers that are gone, once the table is confirmed", async (t) => {
    const { driver, ran, idle } = start(t);
    driver.setWanted(WANTED);
    driver.setPeers([peer("a"), peer("b")], false);
    await idle();
    ran.length = 0;
    driver.setPeers([peer("b")], false);
    await idle();
    assert.deepEqual(ran, []);
    driver.setPeers([peer("b")], true);
    await idle();
    assert.deepEqual(ran, ["remove-a"]);
  });

  it("holds no peer up for another's failure, and tries that one again, ever later", async (t) => {
    const { driver, ran, failing, idle, clock } = start(t);
    failing.add("add-a");
    driver.setWanted(WANTED);
    driver.setPeers([peer("a"), peer("b")], true);
    await idle();
    assert.deepEqual(ran, ["pre", "post", "add-a", "add-b"]);
    const [failure] = driver.failures;
    assert.deepEqual([failure?.key, failure?.isOwn], ["SubnetAddCommand a", false]);
    await clock.advance(1_000);
    await idle();
    assert.equal(ran.length, 5);
    await clock.advance(1_999);
    await idle();
    assert.equal(ran.length, 5);
    failing.clear();
    await clock.advance(1);
    await idle();
    assert.equal(ran.length, 6);
    assert.deepEqual(driver.failures, []);
  });

  it("adds nobody while the node's own command fails, and says so", async (t) => {
    const { driver, ran, failing, idle, log } = start(t);
    failing.add("post");
    driver.setWanted(WANTED);
    driver.setPeers([peer("a")], true);
    await idle();
    assert.deepEqual(ran, ["pre", "post"]);
    assert.equal(driver.failures[0]?.isOwn, true);
    assert.match(
      log.of("extension.failed")[0]?.message ?? "",
      /^PostStartupCommand failed: exit code 1/,
    );
  });

  it("gives a removal up after three attempts", async (t) => {
    const { driver, ran, failing, idle, clock } = start(t);
    driver.setWanted(WANTED);
    driver.setPeers([peer("a")], true);
    await idle();
    failing.add("remove-a");
    driver.setPeers([], true);
    await idle();
    for (let turn = 0; turn < 5; turn += 1) {
      await clock.advance(60_000);
      await idle();
    }
    assert.equal(ran.filter((program) => program === "remove-a").length, 3);
    assert.deepEqual(driver.failures, []);
  });

  it("forgets the failure of a peer that is gone", async (t) => {
    const { driver, failing, idle } = start(t);
    failing.add("add-a");
    driver.setWanted(WANTED);
    driver.setPeers([peer("a")], true);
    await idle();
    assert.equal(driver.failures.length, 1);
    driver.setPeers([], true);
    await idle();
    assert.deepEqual(driver.failures, []);
  });

  it("removes what it added when another backend is wanted", async (t) => {
    const { driver, ran, idle } = start(t);
    driver.setWanted(WANTED);
    driver.setPeers([peer("a")], true);
    await idle();
    driver.setWanted(undefined);
    await idle();
    assert.equal(ran.at(-1), "remove-a");
    assert.equal(driver.data, undefined);
  });
});

describe("what an earlier run has added", () => {
  it("is removed by its own command when it went away meanwhile, once the table is confirmed", async (t) => {
    const { driver, ran, kept, idle } = start(t, [peer("gone"), peer("b")]);
    driver.setWanted(WANTED);
    driver.setPeers([peer("b")], false);
    await idle();
    assert.deepEqual(ran, ["pre", "post", "add-b"]);
    driver.setPeers([peer("b")], true);
    await idle();
    assert.deepEqual(ran.slice(3), ["remove-gone"]);
    assert.equal(kept.at(-1), "b");
  });

  it("is remembered peer by peer, and forgotten with its removal", async (t) => {
    const { driver, kept, idle } = start(t);
    driver.setWanted(WANTED);
    driver.setPeers([peer("b"), peer("c")], true);
    await idle();
    driver.setPeers([peer("c")], true);
    await idle();
    assert.deepEqual(kept, ["b", "b c", "c"]);
  });

  it("is read as it was written, and damaged rows are left out", () => {
    const [b, c] = [peer("b"), peer("c")];
    const rows = [b, c].map(({ key, remove }) => ({ key, remove }));
    assert.deepEqual(parseRemembered(renderRemembered(rows)), rows);
    const damaged = [{ key: 7 }, { key: "d", remove: { argv: [1], stdin: "" } }, null, ...rows];
    assert.deepEqual(parseRemembered(JSON.stringify(damaged)), rows);
    for (const text of ["", "{", "7", "{}"]) assert.deepEqual(parseRemembered(text), []);
  });
});
