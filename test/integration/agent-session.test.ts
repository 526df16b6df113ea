/**
 * The agent's session over real gRPC, against controllers that a test scripts: what resumes,
 * what is refused, what ends a stream, and that nothing ends the agent.
 */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { LeaseHolder } from "../../agent/lease/lease-holder.ts";
import { PeerTable } from "../../agent/peers/peer-table.ts";
import { MAX_MESSAGE_BYTES, openChannel, type TlsFiles } from "../../agent/rpc/channel.ts";
import { ControllerChoice } from "../../agent/rpc/controller-choice.ts";
import { Outbox } from "../../agent/rpc/outbox.ts";
import { Session } from "../../agent/rpc/session.ts";
import { SyncStream } from "../../agent/rpc/sync-stream.ts";
import { systemClock } from "../../common/async/clock.ts";
import { TwillError } from "../../common/errors.ts";
import { digestOf, formatDigest } from "../../common/lease/lease-digest.ts";
import { leaseToWire } from "../../common/lease/lease-wire.ts";
import type { ControllerMessage } from "../../proto/gen/twill/v1/fabric.ts";
import { lease } from "../support/leases.ts";
import { Mailbox } from "../support/mailbox.ts";
import { ScriptedController, type ScriptedStream } from "../support/scripted-controller.ts";
import { seededRandom } from "../support/seeded-random.ts";

const OWN = lease({ key: "10.244.1.0-24", ip: "10.99.0.1", node: "me" });
const PEERS = Array.from({ length: 300 }, (_, index) =>
  lease({ key: `10.245.${index % 256}.${index < 256 ? 0 : 128}-25`, ip: `10.98.0.${index % 250}` }),
);
const CLAIM = {
  publicIp: "10.99.0.1",
  publicIpv6: "",
  backendType: "vxlan",
  backendData: "",
  backendV6Data: "",
};

type ControllerBody = NonNullable<ControllerMessage["body"]>;

function welcome(heartbeatMs = 5000): ControllerBody {
  return {
    $case: "welcome",
    value: {
      instance: "i",
      controller: "scripted",
      leader: "scripted",
      features: [],
      heartbeatMs,
      config: undefined,
      version: "1",
    },
  };
}

function snapshot(revision: number, leases = PEERS): ControllerBody[] {
  const half = Math.floor(leases.length / 2);
  const part = (some: typeof leases): ControllerBody => ({
    $case: "snapshotPart",
    value: { upserts: some.map(leaseToWire) },
  });
  const digest = formatDigest(digestOf(leases));
  return [
    { $case: "snapshotBegin", value: { revision, leases: leases.length } },
    part(leases.slice(0, half)),
    part(leases.slice(half)),
    { $case: "snapshotEnd", value: { revision, digest } },
  ];
}

/** One agent's session; what it tells comes as lines. */
class Agent implements AsyncDisposable {
  readonly peers = new PeerTable();
  readonly told = new Mailbox<string>();
  readonly session: Session;
  readonly #controller = new AbortController();
  readonly #running: Promise<void>;

  constructor(endpoints: readonly string[], tls?: TlsFiles) {
    const tell = (line: string): void => this.told.put(line);
    this.session = new Session({
      node: "me",
      version: "1",
      process: "p1",
      features: [],
      open: async (endpoint) => new SyncStream(await openChannel(endpoint, tls), endpoint),
      choice: new ControllerChoice(endpoints, seededRandom(1)),
      table: this.peers,
      lease: new LeaseHolder({ node: "me", previousSubnet: "", onSubnetTaken: "renumber" }),
      outbox: new Outbox(),
      clock: systemClock,
      events: {
        connecting: (endpoint) => tell(`connecting ${endpoint}`),
        connected: () => tell("connected"),
        disconnected: (error) => tell(`${error.code}: ${error.message}`),
        leader: () => undefined,
        config: ({ json }) => tell(`config ${json}`),
        table: ({ upserts }) => tell(`table +${upserts.length}`),
        registered: ({ lease: held }, news) => tell(`${news} ${held.key}`),
        refused: ({ code, message }) => tell(`refused ${code} ${message}`),
        leaseLost: (key) => tell(`lost ${key}`),
        query: ({ number }) => tell(`query ${number}`),
      },
    });
    this.#running = this.session.run(this.#controller.signal).catch(() => undefined);
  }

  /** The next thing told that matches; others are skipped. */
  async tells(pattern: RegExp): Promise<string> {
    for (;;) {
      const line = await this.told.take(String(pattern));
      if (pattern.test(line)) return line;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#controller.abort(new TwillError("SHUTTING_DOWN", "test is over"));
    await this.#running;
  }
}

let controller: ScriptedController;
let agent: Agent;
let stream: ScriptedStream;
beforeEach(async () => {
  controller = await ScriptedController.start();
  agent = new Agent([controller.endpoint]);
  stream = await controller.stream();
});
afterEach(async () => {
  await agent[Symbol.asyncDispose]();
  await controller[Symbol.asyncDispose]();
});

/** Brings the agent in sync at revision 5 and lets it acknowledge. */
async function inSync(): Promise<void> {
  stream.say(welcome(), ...snapshot(5));
  await agent.tells(/^table \+300/);
  agent.session.applied({ position: agent.peers.position, failures: [], applyMs: 2 });
  const { value } = await stream.hears("ack");
  assert.equal(value.revision, 5);
  assert.equal(value.digest, agent.peers.position.digest);
}

describe("the session over gRPC", () => {
  it("takes a snapshot in parts and resumes where it was after the stream ended", async () => {
    const first = await stream.hears("hello");
    assert.equal(first.value.instance, "");
    await inSync();
    stream.end();
    await agent.tells(/CONTROLLER_UNAVAILABLE.*ended the stream/);
    const again = await controller.stream();
    const { value } = await again.hears("hello");
    assert.deepEqual(
      { instance: value.instance, revision: value.revision, digest: value.digest },
      agent.peers.position,
    );
    const upserts = [leaseToWire(OWN)];
    again.say(welcome(), {
      $case: "delta",
      value: { fromRevision: 5, toRevision: 9, upserts, removes: [] },
    });
    await agent.tells(/^table \+1$/);
    assert.equal(agent.peers.size, 301);
  });

  it("ends the stream on a gap, keeps its table, and says Hello with it", async () => {
    await inSync();
    stream.say({
      $case: "delta",
      value: { fromRevision: 6, toRevision: 7, upserts: [], removes: [] },
    });
    await stream.ends();
    await agent.tells(/STREAM_GAP.*from 6 while at 5/);
    assert.equal(agent.peers.size, 300);
    const { value } = await (await controller.stream()).hears("hello");
    assert.equal(value.revision, 5);
  });

  it("asks for everything anew when the digests differ, and keeps the peers meanwhile", async () => {
    await inSync();
    const digest = "0000000000000bad";
    stream.say({ $case: "bookmark", value: { revision: 5, digest, leader: "" } });
    await agent.tells(/STREAM_GAP.*digest/);
    assert.equal(agent.peers.size, 300);
    const { value } = await (await controller.stream()).hears("hello");
    assert.equal(value.instance, "");
  });

  it("holds its lease: asks, is refused, asks again, is given it, notices its loss", async () => {
    stream.say(welcome());
    agent.session.claim(CLAIM);
    const first = await stream.hears("register");
    assert.equal(first.value.publicIp, "10.99.0.1");
    const { request } = first.value;
    const refusal = { request, code: "LEASE_EXHAUSTED", message: "none", retryAfterMs: 500 };
    stream.say({ $case: "refused", value: refusal });
    await agent.tells(/refused LEASE_EXHAUSTED none/);
    const second = await stream.hears("register");
    const given = { lease: leaseToWire(OWN), ttlSeconds: 86_400, reused: false };
    stream.say({ $case: "registered", value: { request: second.value.request, ...given } });
    await agent.tells(/acquired 10\.244\.1\.0-24/);
    stream.say(...snapshot(7, [OWN]), {
      $case: "delta",
      value: { fromRevision: 7, toRevision: 8, upserts: [], removes: [OWN.key] },
    });
    await agent.tells(/^lost 10\.244\.1\.0-24$/);
    const third = await stream.hears("register");
    assert.equal(third.value.previousSubnet, OWN.key);
  });

  it("leaves a controller that falls silent, though its connection lives", async () => {
    stream.say(welcome(100));
    await agent.tells(/silent for 300 ms/);
    await stream.ends();
    await controller.stream();
  });

  it("beats often enough for the controller, also when it has nothing to say", async () => {
    stream.say(welcome(200));
    await stream.hears("heartbeat");
    stream.say({ $case: "config", value: { revision: 1, json: "{}", transition: undefined } });
    await stream.hears("heartbeat");
  });

  it("is told by name when it is refused", async () => {
    stream.refuse("IDENTITY_REFUSED", "node me is connected already");
    await agent.tells(/^IDENTITY_REFUSED: .*node me is connected already/);
  });

  it("ends on what comes before Welcome", async () => {
    stream.say({ $case: "config", value: { revision: 1, json: "{}", transition: undefined } });
    await agent.tells(/PROTOCOL_VIOLATION.*config before Welcome/);
    await stream.ends();
  });

  it("ends on a message that is too large, with the limit named", async () => {
    stream.say(welcome());
    await agent.tells(/connected/);
    stream.sayRaw(new Uint8Array(MAX_MESSAGE_BYTES + 1));
    await agent.tells(/PROTOCOL_VIOLATION.*larger than max.*4194304/);
    await controller.stream();
  });

  it("ends on bytes that are no message", async () => {
    stream.say(welcome());
    stream.sayRaw(Uint8Array.of(0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f));
    await agent.tells(/PROTOCOL_VIOLATION/);
    await controller.stream();
  });

  it("passes over messages and fields that a later version added", async () => {
    stream.sayRaw(Uint8Array.of(0xfa, 0x07, 0x02, 0x08, 0x01));
    stream.say(welcome());
    stream.sayRaw(Uint8Array.of(0xfa, 0x07, 0x02, 0x08, 0x01));
    stream.say({ $case: "config", value: { revision: 1, json: "{}", transition: undefined } });
    await agent.tells(/config \{\}/);
  });
});

describe("several controllers", () => {
  it("stand in for one that goes, at once", async () => {
    await using second = await ScriptedController.start();
    await using other = new Agent([controller.endpoint, second.endpoint]);
    const line = await other.tells(/^connecting/);
    const isFirst = line.endsWith(controller.endpoint);
    const [chosen, standby] = isFirst ? [controller, second] : [second, controller];
    const first = await chosen.stream();
    first.say(welcome());
    await other.tells(/connected/);
    const since = performance.now();
    first.end();
    await standby.stream();
    assert.ok(performance.now() - since < 5000);
  });
});

describe("a controller that cannot be had", () => {
  it("is named with the reason: nobody listens, no TLS there, no such CA file", async () => {
    await using nobody = new Agent(["127.0.0.1:1"]);
    await nobody.tells(/CONTROLLER_UNAVAILABLE: controller 127\.0\.0\.1:1: .*ECONNREFUSED/);
    await using plain = new Agent([controller.endpoint], { caFile: "", certFile: "", keyFile: "" });
    await plain.tells(/CONTROLLER_UNAVAILABLE/);
    const tls = { caFile: "/nonexistent/ca.pem", certFile: "", keyFile: "" };
    await using blind = new Agent([controller.endpoint], tls);
    await blind.tells(/FILE_FAILED: cannot use --tls-ca-file \(\/nonexistent\/ca\.pem\)/);
  });
});
