/** systemd hears the newest state, not every state, and nothing twice. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TwillError } from "../../../common/errors.ts";
import { Systemd } from "../../../common/systemd.ts";
import { LogCapture } from "../../support/log-capture.ts";
import { ManualClock, settle } from "../../support/manual-clock.ts";

interface Bench {
  readonly systemd: Systemd;
  readonly clock: ManualClock;
  readonly log: LogCapture;
  readonly sent: string[];
  readonly failing: { left: number };
  readonly live: { is: boolean };
  readonly stop: () => Promise<void>;
}

function bench(env: Record<string, string> = { NOTIFY_SOCKET: "/run/notify" }): Bench {
  const clock = new ManualClock();
  const log = new LogCapture();
  const sent: string[] = [];
  const failing = { left: 0 };
  const live = { is: true };
  const controller = new AbortController();
  const systemd = new Systemd({
    env,
    pid: 42,
    clock,
    logger: log,
    isLive: () => live.is,
    send: async (assignments) => {
      if (failing.left > 0) {
        failing.left -= 1;
        throw new TwillError("COMMAND_FAILED", "no such file");
      }
      sent.push(assignments.join(" "));
    },
  });
  const running = systemd.run(controller.signal);
  const stop = async (): Promise<void> => {
    controller.abort();
    await running;
    assert.equal(clock.sleeping, 0);
  };
  return { systemd, clock, log, sent, failing, live, stop };
}

describe("systemd", () => {
  it("is not told anything without its socket", async () => {
    const { systemd, clock, sent, stop } = bench({ NOTIFY_SOCKET: "", WATCHDOG_USEC: "1000000" });
    systemd.ready();
    systemd.status("x");
    await systemd.stopping();
    await clock.advance(10_000);
    await stop();
    assert.deepEqual(sent, []);
  });

  it("hears ready and status in one message", async () => {
    const { systemd, sent, stop } = bench();
    systemd.status("leader, 3 nodes");
    systemd.ready();
    await settle();
    assert.deepEqual(sent, ["STATUS=leader, 3 nodes READY=1"]);
    await stop();
  });

  it("hears only the newest of many statuses, at most one a second", async () => {
    const { systemd, clock, sent, stop } = bench();
    for (let nodes = 0; nodes < 100; nodes += 1) {
      systemd.status(`${nodes} nodes`);
      await clock.advance(20);
    }
    await clock.advance(1000);
    assert.deepEqual(sent, ["STATUS=0 nodes", "STATUS=49 nodes", "STATUS=99 nodes"]);
    await stop();
  });

  it("hears no status twice, and no line breaks", async () => {
    const { systemd, clock, sent, stop } = bench();
    systemd.status("a\nREADY=1");
    await clock.advance(2000);
    systemd.status("a\nREADY=1");
    await clock.advance(2000);
    assert.deepEqual(sent, ["STATUS=a READY=1"]);
    await stop();
  });

  it("hears a long status cut short", async () => {
    const { systemd, sent, stop } = bench();
    systemd.status("x".repeat(1000));
    await settle();
    assert.deepEqual(sent, [`STATUS=${"x".repeat(200)}`]);
    await stop();
  });

  it("hears ready later when it could not be told at first, with the newest status", async () => {
    const { systemd, clock, log, sent, failing, stop } = bench();
    failing.left = 2;
    systemd.ready();
    systemd.status("old");
    await clock.advance(100);
    systemd.status("new");
    await clock.advance(10_000);
    assert.deepEqual(sent, ["READY=1 STATUS=new"]);
    assert.equal(log.of("notify.failed").length, 2);
    await stop();
  });

  it("hears at once that the daemon stops, and a failure does not stop the stopping", async () => {
    const { systemd, sent, failing, log, stop } = bench();
    await stop();
    await systemd.stopping();
    failing.left = 1;
    await systemd.stopping();
    assert.deepEqual(sent, ["STOPPING=1"]);
    assert.deepEqual(log.names, ["notify.failed"]);
  });
});

describe("systemd's watchdog", () => {
  const env = { NOTIFY_SOCKET: "/run/notify", WATCHDOG_USEC: "10000000" };

  it("is fed twice per interval while the daemon is live, and starves when it is not", async () => {
    const { clock, sent, live, stop } = bench(env);
    await clock.advance(4999);
    assert.equal(sent.length, 1);
    await clock.advance(1);
    assert.equal(sent.length, 2);
    await clock.advance(5000);
    assert.deepEqual(sent, ["WATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1"]);
    live.is = false;
    await clock.advance(60_000);
    assert.equal(sent.length, 3);
    live.is = true;
    await clock.advance(5000);
    assert.equal(sent.length, 4);
    await stop();
  });

  for (const [what, more] of [
    ["another process's", { WATCHDOG_PID: "43" }],
    ["off", { WATCHDOG_USEC: "0" }],
    ["nonsense", { WATCHDOG_USEC: "soon" }],
  ] as const) {
    it(`is left alone when it is ${what}`, async () => {
      const { clock, sent, stop } = bench({ ...env, ...more });
      await clock.advance(60_000);
      assert.deepEqual(sent, []);
      await stop();
    });
  }

  it("is fed when it is meant for this very process", async () => {
    const { sent, stop } = bench({ ...env, WATCHDOG_PID: "42" });
    await settle();
    assert.deepEqual(sent, ["WATCHDOG=1"]);
    await stop();
  });
});
