/** The agent's side of the conversation, message by message, on streams in memory. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { LeaseHolder } from "../../../../agent/lease/lease-holder.ts";
import { PeerTable, type TableMessage } from "../../../../agent/peers/peer-table.ts";
import { ControllerChoice, WELCOME_PATIENCE_MS } from "../../../../agent/rpc/controller-choice.ts";
import type { ControllerMessage, Welcome } from "../../../../agent/rpc/controller-message.ts";
import { Outbox } from "../../../../agent/rpc/outbox.ts";
import { Session, type SessionEvents } from "../../../../agent/rpc/session.ts";
import { type ErrorCode, TwillError } from "../../../../common/errors.ts";
import type { Lease } from "../../../../common/lease/lease.ts";
import { digestOf, formatDigest } from "../../../../common/lease/lease-digest.ts";
import { FakeControllerStream } from "../../../support/fake-controller-stream.ts";
import { lease } from "../../../support/leases.ts";
import { ManualClock, settle } from "../../../support/manual-clock.ts";
import { seededRandom } from "../../../support/seeded-random.ts";

const OWN = lease({ key: "10.244.1.0-24", node: "me" });
const PEER = lease({ key: "10.244.2.0-24", node: "you" });
const CLAIM = {
  publicIp: "10.0.0.1",
  publicIpv6: "",
  backendType: "vxlan",
  backendData: "",
  backendV6Data: "",
};
const WELCOME: Welcome = {
  kind: "welcome",
  instance: "i",
  controller: "c1",
  leader: "c1",
  features: new Set(),
  heartbeatMs: 1000,
  config: { revision: 1, json: "{}" },
  version: "1",
};

const table = (message: TableMessage): ControllerMessage => ({
  kind: "table",
  table: message,
  leader: undefined,
});

function snapshot(revision: number, ...leases: readonly Lease[]): ControllerMessage[] {
  const digest = formatDigest(digestOf(leases));
  return [
    table({ kind: "snapshot-begin", revision, leases: leases.length }),
    table({ kind: "snapshot-part", upserts: leases }),
    table({ kind: "snapshot-end", revision, digest }),
  ];
}

/** One agent with its streams; `told` is everything that came out of the session. */
class Bench {
  readonly clock = new ManualClock();
  readonly peers = new PeerTable();
  readonly streams: FakeControllerStream[] = [];
  readonly told: string[] = [];
  readonly session: Session;
  readonly controller = new AbortController();
  /** Makes `open` fail while it is set. */
  openFails: ErrorCode | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(endpoints = ["a:1", "b:1"]) {
    this.session = new Session({
      node: "me",
      version: "1",
      process: "p1",
      features: ["x"],
      open: async (endpoint) => {
        if (this.openFails !== undefined) throw new TwillError(this.openFails, "no");
        const stream = new FakeControllerStream(endpoint);
        this.streams.push(stream);
        return stream;
      },
      choice: new ControllerChoice(endpoints, seededRandom(1)),
      table: this.peers,
      lease: new LeaseHolder({ node: "me", previousSubnet: "", onSubnetTaken: "renumber" }),
      outbox: new Outbox(),
      events: this.#events(),
      clock: this.clock,
    });
  }

  get stream(): FakeControllerStream {
    const newest = this.streams.at(-1);
    assert.ok(newest, "no stream was opened");
    return newest;
  }

  async start(): Promise<void> {
    this.#running = this.session.run(this.controller.signal).catch(() => undefined);
    await this.clock.advance(0);
  }

  async stop(): Promise<void> {
    this.controller.abort(new TwillError("SHUTTING_DOWN", "test is over"));
    await this.#running;
  }

  #events(): SessionEvents {
    const { told } = this;
    return {
      connecting: () => undefined,
      connected: (welcome, endpoint) => told.push(`connected ${endpoint} ${welcome.instance}`),
      disconnected: (error, _, was) => told.push(`disconnected ${error.code} ${was}`),
      leader: (leader) => told.push(`leader ${leader}`),
      config: ({ json }) => told.push(`config ${json}`),
      table: ({ upserts, removes }) => told.push(`table +${upserts.length} -${removes.length}`),
      registered: (answer, news) => told.push(`${news} ${answer.lease.key}`),
      refused: ({ code }) => told.push(`refused ${code}`),
      leaseLost: (key) => told.push(`lost ${key}`),
      query: ({ number }) => told.push(`query ${number}`),
    };
  }
}

let bench = new Bench();
beforeEach(() => {
  bench = new Bench();
});
afterEach(() => bench.stop());

describe("a session", () => {
  it("says Hello with what it holds, is welcomed, and tells what came with it", async () => {
    bench.peers.restore("i", 7, [OWN]);
    await bench.start();
    const [hello] = bench.stream.heard;
    assert.ok(hello?.$case === "hello");
    const { digest } = bench.peers.position;
    const position = { instance: "i", revision: 7, digest };
    assert.deepEqual(hello.value, {
      node: "me",
      version: "1",
      process: "p1",
      features: ["x"],
      ...position,
    });
    await bench.stream.say(WELCOME);
    assert.deepEqual(bench.told, [
      `connected ${bench.stream.endpoint} i`,
      "leader c1",
      "config {}",
    ]);
  });

  it("registers once the claim is there, acknowledges what was applied, reports, lives", async () => {
    await bench.start();
    await bench.stream.say(WELCOME, ...snapshot(5, PEER));
    bench.session.claim(CLAIM);
    await settle();
    await bench.stream.say({
      kind: "registered",
      request: 1,
      lease: OWN,
      ttlSeconds: 86400,
      reused: false,
    });
    bench.session.applied({ position: bench.peers.position, failures: [], applyMs: 1 });
    bench.session.report({ state: "in-sync", reason: "", drift: [] });
    await bench.clock.advance(1500);
    assert.deepEqual(bench.stream.kinds, ["hello", "report", "register", "ack", "report"]);
    assert.ok(bench.told.includes("acquired 10.244.1.0-24"));
    assert.ok(bench.told.includes("table +1 -0"));
    const heartbeats = bench.stream.heard.filter(({ $case }) => $case === "heartbeat").length;
    assert.equal(heartbeats, 1);
  });

  it("never acknowledges what is only received", async () => {
    await bench.start();
    await bench.stream.say(WELCOME, ...snapshot(5, PEER));
    await bench.clock.advance(1100);
    assert.ok(!bench.stream.kinds.includes("ack"));
  });

  it("moves to another controller at once when the stream ends, and resumes there", async () => {
    await bench.start();
    const first = bench.stream;
    await first.say(WELCOME, ...snapshot(5, PEER));
    bench.session.claim(CLAIM);
    await settle();
    await first.say({ kind: "registered", request: 1, lease: OWN, ttlSeconds: 1, reused: false });
    bench.session.applied({ position: bench.peers.position, failures: [], applyMs: 1 });
    await bench.clock.advance(0);
    await first.fail(new TwillError("CONTROLLER_UNAVAILABLE", "gone"));
    await bench.clock.advance(200);
    assert.notEqual(bench.stream.endpoint, first.endpoint);
    const [hello] = bench.stream.heard;
    assert.ok(hello?.$case === "hello");
    assert.equal(hello.value.revision, 5);
    await bench.stream.say(WELCOME);
    assert.deepEqual(bench.stream.kinds.slice(1).sort(), ["ack", "register", "report"]);
  });

  it("ends a stream on a gap, on messages out of order, and begins again", async () => {
    const gap: ControllerMessage = table({
      kind: "delta",
      fromRevision: 9,
      toRevision: 10,
      upserts: [],
      removes: [],
    });
    const cases: readonly [ControllerMessage[], ErrorCode][] = [
      [[WELCOME, ...snapshot(5, PEER), gap], "STREAM_GAP"],
      [[gap], "PROTOCOL_VIOLATION"],
      [[WELCOME, WELCOME], "PROTOCOL_VIOLATION"],
      [[WELCOME, table({ kind: "snapshot-part", upserts: [PEER] })], "STREAM_GAP"],
    ];
    for (const [messages, code] of cases) {
      const one = new Bench();
      await one.start();
      const { stream } = one;
      await stream.say(...messages);
      assert.ok(
        one.told.some((line) => line.startsWith(`disconnected ${code}`)),
        code,
      );
      assert.equal(stream.isClosed, true);
      await one.clock.advance(200);
      assert.equal(one.streams.length, 2);
      await one.stop();
    }
  });

  it("ignores what it does not know, also before Welcome", async () => {
    await bench.start();
    await bench.stream.say({ kind: "unknown" }, WELCOME, { kind: "unknown" });
    assert.equal(bench.session.isConnected, true);
  });

  it("acknowledges a revision that only a bookmark has named, once", async () => {
    await bench.start();
    await bench.stream.say(WELCOME, ...snapshot(5, PEER));
    const { position } = bench.peers;
    bench.session.applied({ position, failures: [], applyMs: 1 });
    await bench.clock.advance(100);
    const { digest } = position;
    await bench.stream.say(table({ kind: "bookmark", revision: 9, digest }));
    await bench.clock.advance(1100);
    // A later pass that changed nothing knows only the revision of the last change.
    bench.session.applied({ position, failures: [], applyMs: 1 });
    await bench.clock.advance(1100);
    const acks = bench.stream.heard.flatMap((body) => (body.$case === "ack" ? [body.value] : []));
    assert.deepEqual(
      acks.map(({ revision }) => revision),
      [5, 9],
    );
  });

  it("gives up a controller that does not welcome it, or falls silent", async () => {
    await bench.start();
    await bench.clock.advance(WELCOME_PATIENCE_MS.first + 100);
    assert.deepEqual(bench.told, ["disconnected CONTROLLER_UNAVAILABLE false"]);
    await bench.clock.advance(200);
    const second = bench.stream;
    await second.say(WELCOME);
    await bench.clock.advance(2900);
    assert.equal(bench.session.isConnected, true);
    await bench.clock.advance(300);
    assert.equal(second.isClosed, true);
  });

  it("does not blame the controller for a stall of its own", async () => {
    await bench.start();
    await bench.stream.say(WELCOME);
    bench.clock.skip(60_000);
    const said = bench.stream.say({ kind: "unknown" });
    await bench.clock.advance(0);
    await said;
    await bench.clock.advance(1000);
    assert.equal(bench.session.isConnected, true);
  });

  it("gives up a controller that does not read, without queueing for it", async () => {
    await bench.start();
    const { stream } = bench;
    await stream.say(WELCOME);
    stream.isStalled = true;
    for (let round = 0; round < 50; round += 1) {
      bench.session.report({ state: `s${round}`, reason: "", drift: [] });
      await bench.clock.advance(40);
    }
    assert.ok(stream.heard.length <= 4, `${stream.heard.length} messages were queued`);
    await bench.clock.advance(1500);
    assert.equal(stream.isClosed, true);
  });

  it("notices the loss of its lease and a refusal, and asks again as told", async () => {
    await bench.start();
    await bench.stream.say(WELCOME, ...snapshot(5, OWN, PEER));
    bench.session.claim(CLAIM);
    await settle();
    const registered = { kind: "registered", lease: OWN, ttlSeconds: 1, reused: true } as const;
    await bench.stream.say({ ...registered, request: 1 });
    await bench.stream.say(
      table({ kind: "delta", fromRevision: 5, toRevision: 6, upserts: [], removes: [OWN.key] }),
    );
    const refusal = { code: "LEASE_EXHAUSTED", message: "", retryAfterMs: 2000 };
    await bench.stream.say({ kind: "refused", request: 2, ...refusal });
    assert.deepEqual(bench.told.slice(-3), [
      "lost 10.244.1.0-24",
      "table +0 -1",
      "refused LEASE_EXHAUSTED",
    ]);
    await bench.clock.advance(1900);
    await bench.stream.say({ kind: "unknown" });
    assert.equal(bench.stream.kinds.filter((kind) => kind === "register").length, 2);
    await bench.clock.advance(100);
    assert.equal(bench.stream.kinds.filter((kind) => kind === "register").length, 3);
  });

  it("backs off when no controller can be reached, and never stops trying", async () => {
    bench.openFails = "CONTROLLER_UNAVAILABLE";
    await bench.start();
    await bench.clock.advance(60_000);
    const tries = bench.told.length;
    assert.ok(tries >= 20 && tries <= 80, `${tries} attempts in a minute`);
    bench.openFails = undefined;
    await bench.clock.advance(5000);
    assert.equal(bench.streams.length, 1);
  });

  it("stops at once and closes its stream when it is told to end", async () => {
    await bench.start();
    await bench.stream.say(WELCOME);
    await bench.stop();
    assert.equal(bench.stream.isClosed, true);
    assert.equal(bench.clock.sleeping, 0);
  });
});
