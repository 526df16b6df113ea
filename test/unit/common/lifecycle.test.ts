/** A daemon ends in order, in time, and with an exit code that says why. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TwillError } from "../../../common/errors.ts";
import { Lifecycle, type ProcessPort, type StopSignal } from "../../../common/lifecycle.ts";
import { LogCapture } from "../../support/log-capture.ts";
import { ManualClock, settle } from "../../support/manual-clock.ts";

class FakeProcess implements ProcessPort {
  readonly exits: number[] = [];
  #signal: (signal: StopSignal) => void = () => undefined;
  #fault: (error: unknown) => void = () => undefined;
  hangUp: () => void = () => undefined;

  onSignal(listener: (signal: StopSignal) => void): void {
    this.#signal = listener;
  }

  onHangup(listener: () => void): void {
    this.hangUp = listener;
  }

  onFault(listener: (error: unknown) => void): void {
    this.#fault = listener;
  }

  exit(code: number): void {
    this.exits.push(code);
  }

  send(signal: StopSignal): void {
    this.#signal(signal);
  }

  fault(error: unknown): void {
    this.#fault(error);
  }
}

interface Bench {
  readonly process: FakeProcess;
  readonly clock: ManualClock;
  readonly log: LogCapture;
  readonly life: Lifecycle;
}

function bench(): Bench {
  const process = new FakeProcess();
  const clock = new ManualClock();
  const log = new LogCapture();
  const life = new Lifecycle({ process, clock, logger: log, shutdownDeadlineMs: 5000 });
  return { process, clock, log, life };
}

/** A loop that ends by the signal's rejection, as most of ours do. */
async function untilAborted(life: Lifecycle, clock: ManualClock): Promise<void> {
  for (;;) await clock.sleep(1000, life.signal);
}

describe("a lifecycle", () => {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    it(`ends with 0 after ${signal}, closing last opened first`, async () => {
      const { process, clock, log, life } = bench();
      const closed: string[] = [];
      const run = life.run(async () => {
        for (const name of ["store", "server"]) {
          life.onShutdown(name, async () => {
            closed.push(name);
          });
        }
        await untilAborted(life, clock);
      });
      await clock.advance(2500);
      assert.deepEqual(process.exits, []);
      process.send(signal);
      await run;
      assert.deepEqual(process.exits, [0]);
      assert.deepEqual(closed, ["server", "store"]);
      assert.deepEqual(log.names, ["process.stopping", "process.stopped"]);
      assert.equal(log.all[0]?.fields["reason"], signal);
      assert.equal(clock.sleeping, 0);
    });
  }

  it("reads files again at SIGHUP, as often as it comes, and goes on", async () => {
    const { process, log, life } = bench();
    let reloads = 0;
    const run = life.run(async () => {
      life.onReload(() => {
        reloads += 1;
      });
      process.hangUp();
      process.hangUp();
      await settle();
      assert.equal(life.signal.aborted, false);
    });
    await run;
    assert.equal(reloads, 2);
    assert.equal(log.of("process.reloading").length, 2);
  });

  it("ends with 0 when the work is done, and tells every part by the signal", async () => {
    const { process, life } = bench();
    await life.run(async () => undefined);
    assert.deepEqual(process.exits, [0]);
    assert.equal(life.signal.aborted, true);
  });

  it("ends with the exit code of the error's code, after closing everything", async () => {
    const { process, log, life } = bench();
    let isClosed = false;
    await life.run(async () => {
      life.onShutdown("store", async () => {
        isClosed = true;
      });
      throw new TwillError("OPTION_INVALID", "unknown option --x");
    });
    assert.deepEqual(process.exits, [2]);
    assert.equal(isClosed, true);
    const [failed] = log.of("process.failed");
    assert.equal(failed?.message, "unknown option --x");
    assert.equal(failed?.fields["code"], "OPTION_INVALID");
  });

  it("ends with 70 for an error that is none of ours", async () => {
    const { process, log, life } = bench();
    await life.run(async () => {
      throw new TypeError("x is not a function");
    });
    assert.deepEqual(process.exits, [70]);
    assert.equal(log.of("process.failed")[0]?.fields["code"], "BUG");
  });

  it("does not take an aborted wait for a failure", async () => {
    const { process, life } = bench();
    const run = life.run(async () => {
      process.send("SIGTERM");
      throw new DOMException("This operation was aborted", "AbortError");
    });
    await run;
    assert.deepEqual(process.exits, [0]);
  });

  it("reports a failure on the way down", async () => {
    const { process, log, life } = bench();
    await life.run(async () => {
      process.send("SIGTERM");
      throw new TwillError("FILE_FAILED", "disk full");
    });
    assert.deepEqual(process.exits, [1]);
    assert.equal(log.of("process.failed")[0]?.message, "disk full");
  });

  it("does not wait for ever for a part that does not end", async () => {
    const { process, clock, log, life } = bench();
    const run = life.run(() => new Promise<void>(() => undefined));
    await settle();
    process.send("SIGTERM");
    await clock.advance(4999);
    assert.deepEqual(process.exits, []);
    await clock.advance(1);
    await run;
    assert.deepEqual(process.exits, [70]);
    assert.match(log.of("process.failed")[0]?.message ?? "", /5000 ms after it was told to stop/);
  });

  it("does not wait for ever for a part that does not close, and closes the others", async () => {
    const { process, clock, log, life } = bench();
    const closed: string[] = [];
    const run = life.run(async () => {
      life.onShutdown("store", async () => {
        closed.push("store");
      });
      life.onShutdown("server", () => new Promise<void>(() => undefined));
    });
    await clock.advance(5000);
    await run;
    assert.deepEqual(process.exits, [1]);
    assert.deepEqual(closed, ["store"]);
    assert.equal(log.of("process.failed")[0]?.fields.key, "server");
    assert.equal(clock.sleeping, 0);
  });

  it("has one deadline for everything, counted from the signal", async () => {
    const { process, clock, log, life } = bench();
    await clock.advance(60_000);
    const run = life.run(async () => {
      life.onShutdown("server", () => new Promise<void>(() => undefined));
      await untilAborted(life, clock).catch(() => clock.sleep(3000, new AbortController().signal));
    });
    await settle();
    process.send("SIGTERM");
    await clock.advance(4999);
    assert.deepEqual(process.exits, []);
    await clock.advance(1);
    await run;
    assert.deepEqual(process.exits, [1]);
    assert.equal(log.of("process.stopped")[0]?.fields["duration_ms"], 5000);
  });

  it("does not take any error during the stop for the abort", async () => {
    const { process, life } = bench();
    await life.run(async () => {
      process.send("SIGTERM");
      throw new TypeError("x is not a function");
    });
    assert.deepEqual(process.exits, [70]);
  });

  it("goes on closing after a close that fails", async () => {
    const { process, life } = bench();
    const closed: string[] = [];
    await life.run(async () => {
      life.onShutdown("store", async () => {
        closed.push("store");
      });
      life.onShutdown("server", async () => {
        throw new TwillError("BUG", "no");
      });
    });
    assert.deepEqual(closed, ["store"]);
    assert.deepEqual(process.exits, [1]);
  });

  it("ends at once at the second signal", async () => {
    const { process, life } = bench();
    void life.run(() => new Promise<void>(() => undefined));
    await settle();
    process.send("SIGTERM");
    assert.deepEqual(process.exits, []);
    process.send("SIGINT");
    process.send("SIGTERM");
    assert.deepEqual(process.exits, [130, 143]);
  });

  it("ends at once with 70 at a fault that nobody caught", () => {
    const { process, log } = bench();
    process.fault(new TwillError("STORE_TIMEOUT", "a rejection that nobody awaited"));
    assert.deepEqual(process.exits, [70]);
    const [failed] = log.of("process.failed");
    assert.equal(failed?.fields["code"], "BUG");
    assert.match(String(failed?.fields["stack"]), /lifecycle\.test/);
  });
});
