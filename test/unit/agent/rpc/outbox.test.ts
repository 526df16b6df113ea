/** What the agent says, and how rarely. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  type AppliedTable,
  CHANGE_ACK_MS,
  IDLE_ACK_MS,
  MAX_DRIFT,
  MAX_FAILURES,
  Outbox,
  REPORT_MS,
} from "../../../../agent/rpc/outbox.ts";
import type { AgentBody } from "../../../../agent/rpc/sync-stream.ts";

function applied(revision: number, digest = "d", failures = 0): AppliedTable {
  return {
    position: { instance: "i", revision, digest },
    failures: Array.from({ length: failures }, (_, index) => ({
      kind: "route",
      key: `10.244.${index}.0/24`,
      code: "ENODEV",
      message: "",
    })),
    applyMs: 3.4,
  };
}

/** Welcomed at 0 with 5 s heartbeats, its first report already sent. */
function opened(): Outbox {
  const outbox = new Outbox();
  outbox.streamOpened("i", 5000, 0);
  assert.equal(sent(outbox, 0)?.$case, "report");
  return outbox;
}

function sent(outbox: Outbox, nowMs: number): AgentBody | undefined {
  const next = outbox.next(nowMs);
  return next.kind === "send" ? next.body : undefined;
}

function ack(outbox: Outbox, nowMs: number): { revision: number; applyMs: number } | undefined {
  const body = sent(outbox, nowMs);
  return body?.$case === "ack" ? body.value : undefined;
}

describe("an ack", () => {
  it("goes at once after a change, with the time it took", () => {
    const outbox = opened();
    outbox.applied(applied(4));
    assert.equal(ack(outbox, 1)?.revision, 4);
    outbox.applied(applied(5, "e"));
    assert.equal(ack(outbox, 1 + CHANGE_ACK_MS)?.applyMs, 3);
    assert.equal(sent(outbox, 1 + CHANGE_ACK_MS), undefined);
  });

  it("of a burst is one, for the newest", () => {
    const outbox = opened();
    outbox.applied(applied(4));
    ack(outbox, 0);
    for (let revision = 5; revision < 30; revision += 1) {
      outbox.applied(applied(revision, `d${revision}`));
      assert.equal(sent(outbox, 50), undefined);
    }
    assert.equal(ack(outbox, CHANGE_ACK_MS)?.revision, 29);
  });

  it("goes at most once a second when only the revision moves on, and then says 0 ms", () => {
    const outbox = opened();
    outbox.applied(applied(4));
    ack(outbox, 0);
    outbox.applied(applied(5));
    assert.equal(sent(outbox, IDLE_ACK_MS - 1), undefined);
    assert.deepEqual(ack(outbox, IDLE_ACK_MS)?.applyMs, 0);
  });

  it("is sent anew on every stream, but never for a table of another instance", () => {
    const outbox = opened();
    outbox.applied(applied(4));
    ack(outbox, 0);
    outbox.streamClosed();
    assert.deepEqual(outbox.next(1), { kind: "wait", untilMs: Number.POSITIVE_INFINITY });
    outbox.streamOpened("i", 5000, 2);
    assert.equal(ack(outbox, 2)?.revision, 4);
    outbox.streamOpened("other", 5000, 3000);
    assert.equal(sent(outbox, 3000)?.$case, "report");
    assert.equal(sent(outbox, 3000), undefined);
  });

  it("tells when a failure appears or goes, and a bounded number of them", () => {
    const outbox = opened();
    outbox.applied(applied(4, "d", 1000));
    const body = sent(outbox, 0);
    assert.equal(body?.$case === "ack" ? body.value.failures.length : 0, MAX_FAILURES);
    outbox.applied(applied(4, "d", 0));
    assert.ok(ack(outbox, CHANGE_ACK_MS));
  });
});

describe("a report", () => {
  it("gathers repairs, bounded, at most one a second", () => {
    const outbox = opened();
    const drift = { kind: "route", key: "k", expected: "a", found: "b", repairedMs: 9 };
    for (let round = 0; round < MAX_DRIFT + 50; round += 1) {
      outbox.report({ state: "in-sync", reason: "", drift: [drift] });
    }
    assert.equal(sent(outbox, REPORT_MS - 1), undefined);
    const body = sent(outbox, REPORT_MS);
    assert.equal(body?.$case === "report" ? body.value.drift.length : 0, MAX_DRIFT);
    assert.equal(sent(outbox, 3 * REPORT_MS), undefined);
  });

  it("is not repeated while the state is the same", () => {
    const outbox = opened();
    outbox.report({ state: "in-sync", reason: "", drift: [] });
    assert.equal(sent(outbox, REPORT_MS)?.$case, "report");
    outbox.report({ state: "in-sync", reason: "", drift: [] });
    assert.equal(sent(outbox, 2 * REPORT_MS), undefined);
  });
});

describe("a heartbeat", () => {
  it("goes before its interval is over, whatever else was said", () => {
    const outbox = opened();
    assert.deepEqual(outbox.next(1), { kind: "wait", untilMs: 4000 });
    assert.equal(sent(outbox, 4000)?.$case, "heartbeat");
    assert.deepEqual(outbox.next(4000), { kind: "wait", untilMs: 8000 });
  });
});

describe("a release", () => {
  it("comes first and once, on the next stream if there is none", () => {
    const outbox = new Outbox();
    outbox.release();
    assert.equal(sent(outbox, 0), undefined);
    outbox.streamOpened("i", 5000, 1);
    assert.equal(sent(outbox, 1)?.$case, "release");
    assert.equal(sent(outbox, 1)?.$case, "report");
  });
});
