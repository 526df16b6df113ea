/** The log: one line per event in both formats, repeats limited, no value able to crash it. */
import assert from "node:assert/strict";
import { Writable } from "node:stream";
import { describe, it } from "node:test";
import { isJsonObject, type JsonObject } from "../../../common/config/json-fields.ts";
import { TwillError } from "../../../common/errors.ts";
import { EVENTS } from "../../../common/events.ts";
import {
  createLogger,
  errorFields,
  type Logger,
  type LogOptions,
  REPEAT_MS,
  RepeatLimiter,
  silentLogger,
} from "../../../common/log.ts";
import { ManualClock } from "../../support/manual-clock.ts";

class Lines extends Writable {
  text = "";

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += String(chunk);
    done();
  }

  get all(): string[] {
    return this.text.split("\n").filter((line) => line !== "");
  }

  get json(): JsonObject[] {
    return this.all.map((line) => {
      const parsed: unknown = JSON.parse(line);
      assert.ok(isJsonObject(parsed));
      return parsed;
    });
  }
}

function open(more: Partial<LogOptions> = {}): { log: Logger; lines: Lines; clock: ManualClock } {
  const lines = new Lines();
  const clock = new ManualClock();
  const log = createLogger({ level: "debug", format: "json", clock, stream: lines, ...more });
  return { log, lines, clock };
}

describe("a JSON log", () => {
  it("writes event, level, message and fields in one line", () => {
    const { log, lines } = open();
    log.event("lease.acquired", "node a got 10.5.1.0/24", { node: "a", ttl_s: 86_400 });
    const [line] = lines.json;
    assert.match(String(line?.["timestamp"]), /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
    const { timestamp: _, ...rest } = line ?? {};
    assert.deepEqual(rest, {
      event: "lease.acquired",
      level: "info",
      message: "node a got 10.5.1.0/24",
      node: "a",
      ttl_s: 86_400,
    });
  });

  it("adds the fields of child loggers, the innermost winning", () => {
    const { log, lines } = open();
    log.child({ component: "store", node: "a" }).child({ node: "b" }).event("cleanup.done", "done");
    assert.equal(lines.json[0]?.["component"], "store");
    assert.equal(lines.json[0]?.["node"], "b");
  });

  it("keeps its own four words when a field has the same name", () => {
    const { log, lines } = open();
    const fields = { event: "x", level: "error", message: "x", timestamp: "x" };
    log.event("cleanup.done", "done", fields);
    const [line] = lines.json;
    assert.deepEqual(
      [line?.["event"], line?.["level"], line?.["message"]],
      ["cleanup.done", "info", "done"],
    );
    assert.notEqual(line?.["timestamp"], "x");
  });

  it("leaves out what is below its level", () => {
    const { log, lines } = open({ level: "warn" });
    log.event("lease.kept", "debug");
    log.event("lease.acquired", "info");
    log.event("notify.failed", "warn");
    log.event("lease.lost", "error");
    assert.deepEqual(
      lines.json.map((line) => line["event"]),
      ["notify.failed", "lease.lost"],
    );
  });
});

describe("a text log", () => {
  it("is readable, quotes what has blanks, and is one line whatever was said", () => {
    const { log, lines } = open({ format: "text" });
    log.event("stream.rejected", "peer said:\nINFO all is well", {
      node: "a",
      reason: 'no "good"',
      count: 3,
      none: undefined,
    });
    assert.match(
      lines.text,
      /^\S+Z WARN {2}stream\.rejected: peer said: ⏎ INFO all is well {2}node=a reason="no \\"good\\"" count=3\n$/,
    );
  });
});

describe("any log", () => {
  for (const format of ["json", "text"] as const) {
    it(`survives every kind of value (${format})`, () => {
      const { log, lines } = open({ format });
      const circular: Record<string, unknown> = { a: 1 };
      circular["self"] = circular;
      const fields = {
        big: 2n ** 64n,
        circular,
        error: new Error("boom"),
        symbol: Symbol("s"),
        bytes: Uint8Array.of(1, 2),
        nothing: null,
        text: "a\nb",
      };
      log.event("cleanup.done", "done", fields);
      assert.equal(lines.all.length, 1);
      assert.match(lines.text, /[=:]"?18446744073709551616["\s]/);
    });
  }
});

describe("repeats", () => {
  it("of a warning about one thing are left out for a while, then counted", async () => {
    const { log, lines, clock } = open();
    for (let count = 0; count < 5; count += 1) log.event("peer.invalid", "bad", { key: "a" });
    log.event("peer.invalid", "bad", { key: "b" });
    assert.equal(lines.all.length, 2);
    await clock.advance(REPEAT_MS);
    log.event("peer.invalid", "bad", { key: "a" });
    assert.equal(lines.json[2]?.["suppressed"], 4);
    log.event("peer.invalid", "bad", { key: "a" });
    await clock.advance(REPEAT_MS);
    log.event("peer.invalid", "bad", { key: "a" });
    assert.equal(lines.json[3]?.["suppressed"], 1);
    await clock.advance(REPEAT_MS);
    log.event("peer.invalid", "bad", { key: "a" });
    assert.equal(lines.json[4]?.["suppressed"], undefined);
  });

  it("are counted across child loggers", () => {
    const { log, lines } = open();
    log.child({ component: "x" }).event("peer.invalid", "bad");
    log.child({ component: "y" }).event("peer.invalid", "bad");
    assert.equal(lines.all.length, 1);
  });

  it("of information are all written", () => {
    const { log, lines } = open();
    for (let count = 0; count < 5; count += 1) log.event("lease.acquired", "got one");
    assert.equal(lines.all.length, 5);
  });

  it("of ever new things are bounded too: no key floods the log", async () => {
    const clock = new ManualClock();
    const limiter = new RepeatLimiter(clock);
    const flood = (): number =>
      Array.from({ length: 20_000 }, (_, key) => limiter.admit(`key ${key}`)).filter(
        (answer) => answer !== undefined,
      ).length;
    const first = flood();
    assert.ok(first > 4000 && first < 4200, String(first));
    await clock.advance(REPEAT_MS);
    const again = flood();
    assert.ok(again > 4000 && again < 4200, String(again));
  });

  it("leave room for new things when the old ones are over", async () => {
    const clock = new ManualClock();
    const limiter = new RepeatLimiter(clock);
    for (let key = 0; key < 20_000; key += 1) limiter.admit(`old ${key}`);
    await clock.advance(REPEAT_MS);
    assert.equal(limiter.admit("new 1"), 0);
    assert.equal(limiter.admit("new 2"), 0);
    assert.equal(limiter.admit("new 1"), undefined);
  });
});

describe("the fields of an error", () => {
  it("are its code, its words, its context, and its cause's words", () => {
    const error = new TwillError("STORE_TIMEOUT", "no answer in 5 s", {
      cause: new Error("deadline"),
      context: { endpoint: "a:1" },
    });
    assert.deepEqual(errorFields(error), {
      code: "STORE_TIMEOUT",
      error: "no answer in 5 s",
      endpoint: "a:1",
      cause: "deadline",
    });
    assert.equal(errorFields("text")["code"], "BUG");
  });
});

describe("the catalogue of events", () => {
  it("names things in two words and says what each means", () => {
    for (const [name, { meaning }] of Object.entries(EVENTS)) {
      assert.match(name, /^[a-z]+\.[a-z]+$/);
      assert.ok(meaning.length > 10, name);
    }
  });
});

describe("the silent logger", () => {
  it("keeps nothing and has silent children", () => {
    silentLogger.child({ a: 1 }).event("cleanup.done", "done");
  });
});
