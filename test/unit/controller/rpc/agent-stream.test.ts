/** One agent's stream: who is welcomed, what is answered, how it ends, and nothing is left. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TaskGroup } from "../../../../common/async/task-group.ts";
import type { TwillError } from "../../../../common/errors.ts";
import type { FoundIdentity } from "../../../../common/identity/identity.ts";
import { noMetrics } from "../../../../common/metrics.ts";
import { LeaseService } from "../../../../controller/lease/lease-service.ts";
import { Registrar } from "../../../../controller/lease/registrar.ts";
import type { AgentBody } from "../../../../controller/rpc/agent-message.ts";
import { AgentStream } from "../../../../controller/rpc/agent-stream.ts";
import { HELLOS } from "../../../../controller/rpc/hello-admission.ts";
import { Hub } from "../../../../controller/rpc/hub.ts";
import { TokenBuckets } from "../../../../controller/rpc/limits/token-buckets.ts";
import { nodeStatuses } from "../../../../controller/rpc/node-status.ts";
import { QueryDesk } from "../../../../controller/rpc/query-desk.ts";
import { ViewService } from "../../../../controller/view/view-service.ts";
import { WatchFeed } from "../../../../controller/watch/watch-feed.ts";
import type { Hello, Register } from "../../../../proto/gen/twill/v1/fabric.ts";
import { FakeOutlet } from "../../../support/fake-outlet.ts";
import { FaultyStore } from "../../../support/faulty-store.ts";
import { LogCapture } from "../../../support/log-capture.ts";
import { ManualClock, settle } from "../../../support/manual-clock.ts";
import { MemoryStore } from "../../../support/memory-store.ts";

class Agent {
  readonly outlet = new FakeOutlet();
  readonly stream: AgentStream;

  constructor(scene: Scene, address: string, identity?: FoundIdentity) {
    this.stream = new AgentStream(this.outlet, { address, identity }, scene.parts);
  }

  async send(body: AgentBody): Promise<this> {
    this.stream.receive({ kind: "message", body });
    await settle();
    return this;
  }

  hello(node: string, more: Partial<Hello> = {}): Promise<this> {
    const held = { instance: "", revision: 0, digest: "" };
    const value = { node, version: "test", process: "", features: [], ...held, ...more };
    return this.send({ $case: "hello", value });
  }

  register(request: number, more: Partial<Register> = {}): Promise<this> {
    const data = { backendType: "host-gw", backendData: "", backendV6Data: "" };
    const rest = { publicIpv6: "", previousSubnet: "" };
    const value = { request, publicIp: "10.99.0.2", ...data, ...rest, ...more };
    return this.send({ $case: "register", value });
  }

  get answers(): readonly string[] {
    return this.outlet.bodies.flatMap((body) => {
      if (body.$case === "registered") return [`${body.value.request} ${body.value.lease?.key}`];
      return body.$case === "refused" ? [`${body.value.request} ${body.value.code}`] : [];
    });
  }
}

class Scene implements AsyncDisposable {
  readonly clock = new ManualClock();
  readonly memory = new MemoryStore(this.clock);
  readonly store = new FaultyStore(this.memory);
  readonly log = new LogCapture();
  readonly views: ViewService;
  readonly hub: Hub;
  readonly watch: WatchFeed;
  readonly parts: ConstructorParameters<typeof AgentStream>[2];
  readonly #service: LeaseService;
  readonly #group = new TaskGroup();

  constructor() {
    const { store, clock, log } = this;
    const parts = { store, clock, log, random: () => 0.5, ttlSeconds: 3600, metrics: noMetrics };
    this.views = new ViewService(parts);
    const leader = (): string => "ctl-1:7474";
    const yieldTurn = async (): Promise<void> => undefined;
    this.hub = new Hub({ ...parts, view: this.views.view, leader, yieldTurn });
    this.watch = new WatchFeed({ view: this.views.view, clock, leader });
    const queries = new QueryDesk({ clock, hub: this.hub });
    this.#service = new LeaseService({ ...parts, views: this.views });
    const storeFault = (): TwillError | undefined => undefined;
    const leases = { ...parts, views: this.views, storeFault, allocator: this.#service };
    const registrar = new Registrar(leases);
    this.parts = {
      ...parts,
      ...{ views: this.views, hub: this.hub, registrar, queries, leader, watch: this.watch },
      hellos: new TokenBuckets(HELLOS),
      controller: "ctl-1:7474",
      version: "9.9",
      spawn: (work) => this.#group.spawn(work),
    };
    this.#group.spawn((signal) => registrar.run(signal));
    this.#group.spawn((signal) => this.hub.run(signal));
  }

  /** Reads etcd, and leads. */
  async start(): Promise<this> {
    this.memory.put("config", '{"Network":"10.5.0.0/16","Backend":{"Type":"host-gw"}}');
    this.#group.spawn((signal) => this.views.run(signal));
    await settle();
    const key = "twill/election/1a";
    const token = this.memory.put(key, "me");
    this.#group.spawn((signal) => this.#service.lead({ key, token, signal }));
    await settle();
    return this;
  }

  agent(address = "10.0.0.1:5000", identity?: FoundIdentity): Agent {
    return new Agent(this, address, identity);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { outlet } of this.hub.subscribers) outlet.destroy();
    this.#group.abort();
    await this.clock.advance(10_000);
    await this.#group.join();
    await this.memory.close();
  }
}

function certificate(role: "node" | "operator", name: string): FoundIdentity {
  const trustDomain = "twill.test";
  const identity =
    role === "node"
      ? ({ role, trustDomain, name } as const)
      : ({ role, trustDomain, name, admin: true } as const);
  return { kind: "identity", identity, addresses: [] };
}

describe("a stream", () => {
  it("begins with Welcome, then the table", async () => {
    await using scene = await new Scene().start();
    const agent = await scene.agent().hello("a");
    assert.deepEqual(agent.outlet.names, ["welcome", "snapshotBegin", "snapshotEnd"]);
    const [welcome] = agent.outlet.bodies;
    assert.ok(welcome?.$case === "welcome");
    assert.deepEqual(welcome.value, {
      instance: "memory/coreos.com/network",
      controller: "ctl-1:7474",
      leader: "ctl-1:7474",
      features: ["query"],
      heartbeatMs: 10_000,
      config: {
        revision: 2,
        json: '{"Network":"10.5.0.0/16","Backend":{"Type":"host-gw"}}',
        transition: undefined,
      },
      version: "9.9",
    });
    assert.equal(scene.log.of("stream.opened").length, 1);
  });

  it("answers requests under their numbers, and the newest only when they come fast", async () => {
    await using scene = await new Scene().start();
    const agent = await scene.agent().hello("a");
    await agent.register(1);
    assert.deepEqual(agent.answers, ["1 10.5.1.0-24"]);
    scene.store.link = "hung";
    for (const request of [2, 3, 4])
      await agent.register(request, { publicIp: `10.99.0.${request}` });
    scene.store.link = "up";
    await settle();
    await settle();
    assert.deepEqual(agent.answers, ["1 10.5.1.0-24", "2 10.5.1.0-24", "4 10.5.1.0-24"]);
  });

  it("is refused to a node that comes again and again, and to nobody else", async () => {
    await using scene = await new Scene().start();
    for (let time = 0; time < HELLOS.burst; time += 1) {
      const agent = await scene.agent().hello("crashing");
      assert.deepEqual(agent.outlet.names.slice(0, 1), ["welcome"]);
    }
    const late = await scene.agent().hello("crashing");
    assert.equal(late.outlet.reason?.code, "LIMIT_REACHED");
    const other = await scene.agent().hello("steady");
    assert.equal(other.outlet.reason, undefined);
    await scene.clock.advance(2000);
    const again = await scene.agent().hello("crashing");
    assert.equal(again.outlet.reason, undefined, "two seconds later it may once more");
  });

  it("answers a flood of requests in its pace, and never stops answering", async () => {
    await using scene = await new Scene().start();
    const agent = await scene.agent().hello("a");
    for (let request = 1; request <= 110; request += 1) {
      await agent.register(request, { publicIp: `10.99.0.${request}` });
    }
    const soon = agent.answers.length;
    assert.ok(soon <= 100, `${soon} answers at once`);
    await scene.clock.advance(1000);
    await settle();
    assert.match(agent.answers.at(-1) ?? "", /^110 /, "the newest is what counts");
  });

  it("refuses a malformed Register for good, and goes on", async () => {
    await using scene = await new Scene().start();
    const agent = await scene.agent().hello("a");
    await agent.register(1, { publicIp: "nonsense" });
    assert.deepEqual(agent.answers, ["1 PROTOCOL_VIOLATION"]);
    await agent.register(2);
    assert.deepEqual(agent.answers.at(-1), "2 10.5.1.0-24");
    assert.equal(agent.outlet.reason, undefined);
  });

  it("gives the lease back on request, and says only when it could not", async () => {
    await using scene = await new Scene().start();
    const agent = await scene.agent().hello("a");
    await agent.register(1);
    await agent.send({ $case: "release", value: { request: 2 } });
    await settle();
    assert.equal(scene.memory.get("subnets/10.5.1.0-24"), undefined);
    await agent.send({ $case: "release", value: { request: 3 } });
    assert.deepEqual(agent.answers, ["1 10.5.1.0-24", "3 LEASE_LOST"]);
  });

  it("tells under the last number what was not asked for", async () => {
    await using scene = await new Scene().start();
    const agent = await scene.agent().hello("a");
    await agent.register(5);
    scene.memory.delete("subnets/10.5.1.0-24");
    await settle();
    await settle();
    assert.deepEqual(agent.answers, ["5 10.5.1.0-24", "5 10.5.1.0-24"]);
  });

  it("keeps what the agent says of itself for operators", async () => {
    await using scene = await new Scene().start();
    const agent = await scene.agent("10.0.0.7:1").hello("a");
    const drift = { kind: "route", key: "x", expected: "", found: "", repairedMs: 3 };
    await agent.send({
      $case: "report",
      value: { drift: [drift, drift], state: "in-sync", reason: "" },
    });
    const failure = { kind: "fdb", key: "y", code: "KERNEL_REFUSED", message: "no" };
    const { instance } = scene.views.view;
    const ack = { instance, revision: 2, digest: "0".repeat(16), failures: [failure], applyMs: 1 };
    await agent.send({ $case: "ack", value: ack });
    await scene.clock.advance(5000);
    assert.deepEqual(nodeStatuses(scene.hub, scene.clock.monotonicMs()), [
      {
        node: "a",
        version: "test",
        address: "10.0.0.7:1",
        sentRevision: 1,
        appliedRevision: 2,
        failures: [failure],
        state: "in-sync",
        reason: "",
        driftRepaired: 2,
        connectedSeconds: 5,
      },
    ]);
  });

  it("leaves nothing behind when it ends", async () => {
    await using scene = await new Scene().start();
    const agent = await scene.agent().hello("a");
    await agent.register(1);
    agent.stream.closed("the test");
    agent.stream.closed("again");
    assert.equal(scene.hub.size, 0);
    assert.equal(scene.log.of("stream.closed").length, 1);
    scene.memory.delete("subnets/10.5.1.0-24");
    await scene.clock.advance(60_000);
    assert.equal(scene.memory.get("subnets/10.5.1.0-24"), undefined, "no longer claimed");
  });
});

describe("a stream that is not welcome", () => {
  const refusals: readonly [string, RegExp, (agent: Agent) => Promise<unknown>][] = [
    [
      "anything before Hello",
      /heartbeat before Hello/,
      (a) => a.send({ $case: "heartbeat", value: {} }),
    ],
    ["a second Hello", /node a sent a second Hello/, async (a) => (await a.hello("a")).hello("a")],
  ];
  for (const [what, message, misbehave] of refusals) {
    it(`ends at ${what}`, async () => {
      await using scene = await new Scene().start();
      const agent = scene.agent();
      await misbehave(agent);
      assert.equal(agent.outlet.reason?.code, "PROTOCOL_VIOLATION");
      assert.match(agent.outlet.reason?.message ?? "", message);
      assert.equal(scene.hub.size, 0);
    });
  }

  it("ends at a message that is wrong, but not at one that is only unknown", async () => {
    await using scene = await new Scene().start();
    const agent = await scene.agent().hello("a");
    agent.stream.receive({ kind: "unknown" });
    assert.equal(agent.outlet.reason, undefined);
    agent.stream.receive({ kind: "violation", reason: "an empty message" });
    const { outlet } = agent;
    assert.match(outlet.reason?.message ?? "", /node a sent an empty message/);
    agent.stream.receive({ kind: "violation", reason: "another" });
    assert.equal(scene.log.of("stream.rejected").length, 1, "nothing is heard after the end");
  });

  it("ends when it says nothing for ten seconds", async () => {
    await using scene = await new Scene().start();
    const silent = scene.agent();
    const talks = await scene.agent("10.0.0.2:1").hello("b");
    await scene.clock.advance(10_000);
    assert.match(silent.outlet.reason?.message ?? "", /no Hello within 10000 ms/);
    assert.equal(talks.outlet.reason, undefined);
  });

  it("ends at once when this controller has not read etcd yet, so that another is tried", async () => {
    await using scene = new Scene();
    const agent = await scene.agent().hello("a");
    assert.equal(agent.outlet.reason?.code, "STORE_UNAVAILABLE");
  });

  it("is the same process's from its machine's new address too, at once", async () => {
    await using scene = await new Scene().start();
    const first = await scene.agent("10.0.0.1:5000").hello("a", { process: "p1" });
    const other = await scene.agent("10.0.0.3:1").hello("a", { process: "p2" });
    assert.equal(other.outlet.reason?.code, "IDENTITY_REFUSED");
    const moved = await scene.agent("10.0.0.2:6000").hello("a", { process: "p1" });
    assert.equal(moved.outlet.reason, undefined);
    assert.equal(first.outlet.reason?.code, "STREAM_EVICTED");
    assert.equal(scene.hub.get("a")?.address, "10.0.0.2:6000");
  });

  it("ends when the node is connected from another machine, and both are named", async () => {
    await using scene = await new Scene().start();
    const first = await scene.agent("10.0.0.1:5000").hello("a");
    const second = await scene.agent("10.0.0.2:6000").hello("a");
    assert.equal(second.outlet.reason?.code, "IDENTITY_REFUSED");
    assert.match(
      second.outlet.reason?.message ?? "",
      /node a .*10\.0\.0\.1:5000.*10\.0\.0\.2:6000/,
    );
    assert.equal(first.outlet.reason, undefined);
    assert.equal(scene.hub.get("a")?.address, "10.0.0.1:5000");
  });

  it("is replaced by a newer one of the same machine", async () => {
    await using scene = await new Scene().start();
    const first = await scene.agent("10.0.0.1:5000").hello("a");
    await first.register(1);
    const second = await scene.agent("10.0.0.1:5001").hello("a");
    assert.equal(first.outlet.isDestroyed, true);
    first.stream.closed("cut");
    await second.register(1);
    assert.deepEqual(second.answers, ["1 10.5.1.0-24"]);
    assert.equal(scene.hub.get("a")?.address, "10.0.0.1:5001");
  });

  it("is replaced by another machine's when it is dead", async () => {
    await using scene = await new Scene().start();
    const first = await scene.agent("10.0.0.1:5000").hello("a");
    scene.clock.skip(31_000);
    const second = await scene.agent("10.0.0.2:6000").hello("a");
    assert.equal(first.outlet.isDestroyed, true);
    assert.equal(second.outlet.reason, undefined);
  });

  it("ends when its certificate is somebody else's", async () => {
    await using scene = await new Scene().start();
    const cases: readonly [FoundIdentity, RegExp][] = [
      [certificate("node", "b"), /that of node b, so it cannot speak for node a/],
      [certificate("operator", "a"), /that of operator a/],
      [{ kind: "none", reason: "the certificate has no URI" }, /no URI/],
    ];
    for (const [identity, message] of cases) {
      const agent = await scene.agent("10.0.0.1:1", identity).hello("a");
      assert.equal(agent.outlet.reason?.code, "IDENTITY_REFUSED");
      assert.match(agent.outlet.reason?.message ?? "", message);
    }
    const right = await scene.agent("10.0.0.1:1", certificate("node", "a")).hello("a");
    assert.equal(right.outlet.reason, undefined);
  });
});
