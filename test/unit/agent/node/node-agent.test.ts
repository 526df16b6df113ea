/** A node's whole life on a small Linux in memory: in which order, and what never happens. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { CACHE_PATIENCE_MS } from "../../../../agent/node/cached-start.ts";
import type { Lease } from "../../../../common/lease/lease.ts";
import {
  AgentBench,
  CONFIG_JSON,
  delta,
  registered,
  snapshot,
  welcome,
} from "../../../support/agent-bench.ts";
import { lease, vxlanLease } from "../../../support/leases.ts";

const PEER = vxlanLease(2);
const OTHER = vxlanLease(3);

let bench: AgentBench;
beforeEach(async () => {
  bench = await AgentBench.make();
});
afterEach(() => bench[Symbol.asyncDispose]());

/** The lease the controller gives for the newest Register. */
function given(key = "10.244.1.0-24"): Lease {
  const body = bench.stream.heard.findLast(({ $case }) => $case === "register");
  assert.ok(body?.$case === "register", "the agent has not asked for a lease");
  const { backendData: data, publicIp: ip } = body.value;
  return lease({ key, ip, data, node: "me" });
}

function lastRequest(): number {
  const body = bench.stream.heard.findLast(({ $case }) => $case === "register");
  return body?.$case === "register" ? body.value.request : 0;
}

function registrations(): number {
  return bench.stream.kinds.filter((kind) => kind === "register").length;
}

const isReady = (): boolean => bench.health.report().isReady;

/** From nothing to ready, with these peers. */
async function joinNetwork(...peers: readonly Lease[]): Promise<Lease> {
  await bench.stream.say(welcome());
  await bench.until("it asks for a lease", () => registrations() > 0);
  const own = given();
  await bench.stream.say(registered(lastRequest(), own), ...snapshot(10, own, ...peers));
  await bench.until("it is ready", isReady);
  return own;
}

describe("a node that joins", () => {
  it("builds its device before it asks for a lease, and is ready when all is programmed", async () => {
    await bench.start();
    assert.equal(bench.kernel.network.links.has("flannel.1"), false);
    await bench.stream.say(welcome());
    await bench.until("it asks for a lease", () => registrations() > 0);
    assert.equal(bench.kernel.network.links.get("flannel.1")?.up, true);
    assert.equal(isReady(), false);
    const own = given();
    assert.match(own.attrs.backendData, /^\{"VNI":1,"VtepMAC":"[0-9a-f:]{17}"\}$/);
    await bench.stream.say(registered(lastRequest(), own));
    await bench.settle();
    assert.equal(isReady(), false, "a lease is not a network");
    await bench.stream.say(...snapshot(10, own, PEER));
    await bench.until("it is ready", isReady);
    assert.ok(bench.kernel.network.addresses.has("flannel.1 10.244.1.0/32"));
    assert.ok(
      [...bench.kernel.network.routes.keys()].some((key) => key.startsWith("10.244.2.0/24")),
    );
    await bench.untilSubnetEnv(
      /^FLANNEL_NETWORK=10\.244\.0\.0\/16\nFLANNEL_SUBNET=10\.244\.1\.1\/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=false\n$/,
    );
  });

  it("acknowledges a change only when the kernel has it", async () => {
    await bench.start();
    await joinNetwork(PEER);
    bench.kernel.failNext("put route 10.244.3.0/24", "ENETUNREACH", 1, "no way");
    bench.stream.heard.length = 0;
    await bench.stream.say(delta(10, [OTHER]));
    await bench.until("it acknowledges", () => bench.stream.kinds.includes("ack"));
    const [first] = bench.stream.heard.filter(({ $case }) => $case === "ack");
    assert.ok(first?.$case === "ack");
    assert.equal(first.value.revision, 11);
    assert.deepEqual(
      first.value.failures.map(({ kind, code }) => `${kind} ${code}`),
      ["route ENETUNREACH"],
    );
    await bench.until("the failure is over", () => {
      const last = bench.stream.heard.findLast(({ $case }) => $case === "ack");
      return last?.$case === "ack" && last.value.failures.length === 0;
    });
    bench.kernel.assertConsumed();
  });

  it("waits for a config, and refuses an invalid one loudly", async () => {
    await bench.start();
    await bench.stream.say({ ...welcome(), config: undefined });
    await bench.settle();
    assert.deepEqual(bench.kernel.writes(), []);
    await bench.stream.say({ kind: "config", revision: 1, json: '{"Network":"nonsense"}' });
    await bench.settle();
    assert.match(bench.log.of("config.rejected")[0]?.message ?? "", /\$\.Network/);
    await bench.stream.say({ kind: "config", revision: 2, json: CONFIG_JSON });
    await bench.until("it asks for a lease", () => registrations() > 0);
  });

  it("wastes no lease on a kernel without vxlan, and names what is missing", async () => {
    bench.kernel.failNext("create link", "EOPNOTSUPP", 3);
    await bench.start();
    await bench.stream.say(welcome());
    await bench.settle();
    assert.equal(registrations(), 0);
    await bench.until("the device is there", () => registrations() > 0);
  });

  it("asks for the subnet of an earlier run", async () => {
    await writeFile(join(bench.folder, "subnet.env"), "FLANNEL_SUBNET=10.244.9.1/24\n");
    await bench.start();
    await bench.stream.say(welcome());
    await bench.until("it asks for a lease", () => registrations() > 0);
    const body = bench.stream.heard.find(({ $case }) => $case === "register");
    assert.equal(body?.$case === "register" && body.value.previousSubnet, "10.244.9.0-24");
  });

  it("shows a refusal loudly and does not end", async () => {
    await bench.start();
    await bench.stream.say(welcome());
    await bench.until("it asks for a lease", () => registrations() > 0);
    const refusal = {
      code: "LEASE_CONFLICT",
      message: "node you has 10.99.0.1",
      retryAfterMs: 5000,
    };
    await bench.stream.say({ kind: "refused", request: lastRequest(), ...refusal });
    assert.match(bench.log.of("lease.refused")[0]?.message ?? "", /node you has 10\.99\.0\.1/);
    await bench.until("it asks again", () => registrations() === 2);
  });
});

describe("a node that lives", () => {
  beforeEach(async () => {
    await bench.start();
  });

  it("tells peers of a new address without a restart", async () => {
    await joinNetwork(PEER);
    const { network } = bench.kernel;
    const old = network.addresses.get("eth0 10.99.0.1/16");
    assert.ok(old);
    network.putAddress({ ...old, ip: { family: 4, value: old.ip.value + 40n } });
    network.deleteAddress(old);
    await bench.until("it opens another stream", () => bench.streams.length === 2);
    await bench.stream.say(welcome());
    await bench.until("it registers the new address", () => registrations() === 1);
    assert.equal(given().attrs.publicIp?.value, old.ip.value + 40n);
    await bench.until("the device follows", () => {
      const local = network.links.get("flannel.1")?.vxlan?.local;
      return local?.value === old.ip.value + 40n;
    });
  });

  it("keeps data plane and readiness when controllers go, and does not start over when they return", async () => {
    await joinNetwork(PEER);
    const before = bench.kernel.describe();
    bench.isCutOff = true;
    bench.stream.close();
    await bench.clock.advance(120_000);
    assert.equal(bench.kernel.describe(), before);
    assert.equal(isReady(), true);
    const said = bench.log.of("controller.unreachable").length;
    assert.ok(said <= 2, `${said} lines about two controllers`);
    bench.isCutOff = false;
    await bench.until("it says Hello", () => bench.streams.length === 2);
    const [hello] = bench.stream.heard;
    assert.equal(hello?.$case === "hello" && hello.value.revision, 10);
    assert.equal(bench.kernel.describe(), before);
  });

  it("claims a lost lease again and keeps what stands on it", async () => {
    const own = await joinNetwork(PEER);
    await bench.stream.say(delta(10, [], [own.key]));
    await bench.until("it asks again", () => registrations() === 2);
    assert.equal(bench.log.of("lease.lost").length, 1);
    assert.ok(bench.kernel.network.addresses.has("flannel.1 10.244.1.0/32"));
  });

  it("renumbers loudly when it is given another subnet", async () => {
    await joinNetwork(PEER);
    await bench.stream.say(registered(lastRequest(), given("10.244.7.0-24")));
    await bench.until("the address has moved", () =>
      bench.kernel.network.addresses.has("flannel.1 10.244.7.0/32"),
    );
    assert.equal(bench.kernel.network.addresses.has("flannel.1 10.244.1.0/32"), false);
    assert.match(
      bench.log.of("lease.moved")[0]?.message ?? "",
      /10\.244\.7\.0-24.*10\.244\.1\.0-24/,
    );
    await bench.untilSubnetEnv(/FLANNEL_SUBNET=10\.244\.7\.1\/24/);
  });

  it("keeps what works when the network changes, until it has a lease in the new one", async () => {
    const own = await joinNetwork(PEER);
    const before = bench.kernel.describe();
    const json = CONFIG_JSON.replace("10.244.0.0", "10.50.0.0");
    await bench.stream.say({ kind: "config", revision: 20, json });
    await bench.until("it asks again", () => registrations() === 2);
    await bench.settle();
    assert.equal(bench.kernel.describe(), before);
    const moved = { ...given("10.50.1.0-24") };
    await bench.stream.say(
      registered(lastRequest(), moved),
      delta(10, [moved], [own.key, PEER.key]),
    );
    await bench.until("it has moved", () =>
      bench.kernel.network.addresses.has("flannel.1 10.50.1.0/32"),
    );
    await bench.untilSubnetEnv(/FLANNEL_NETWORK=10\.50\.0\.0\/16/);
  });
});

describe("a node that starts again", () => {
  beforeEach(async () => {
    await bench.start();
    await joinNetwork(PEER, OTHER);
    await bench.stop();
  });

  it("leaves the kernel as it was when it ended", () => {
    assert.ok(bench.kernel.network.links.has("flannel.1"));
    assert.equal(bench.kernel.watchers, 0);
    assert.equal(bench.clock.sleeping, 0);
  });

  it("without controllers programs the cached table, deletes nothing, and says so", async () => {
    bench.isCutOff = true;
    const { network } = bench.kernel;
    for (const key of network.routes.keys())
      if (key.startsWith("10.244.2")) network.routes.delete(key);
    const route = [...network.routes.values()].find(({ destination }) => destination.prefix === 24);
    assert.ok(route);
    network.putRoute({
      ...route,
      destination: { ...route.destination, ip: { family: 4, value: 0x0af4c800n } },
    });
    await writeFile(join(bench.folder, "subnet.env"), "");
    await bench.start();
    await bench.until("the route is back", () =>
      [...network.routes.keys()].some((key) => key.startsWith("10.244.2.0/24")),
    );
    await bench.settle();
    assert.ok([...network.routes.keys()].some((key) => key.startsWith("10.244.200.0/24")));
    assert.equal(isReady(), false);
    assert.equal(bench.log.of("cache.loaded").length, 1);
    await bench.untilSubnetEnv(/FLANNEL_SUBNET=10\.244\.1\.1\/24/);
    await bench.clock.advance(CACHE_PATIENCE_MS);
    await bench.until("it is ready on its cache", isReady);
    assert.ok([...network.routes.keys()].some((key) => key.startsWith("10.244.200.0/24")));
  });

  it("resumes by revision, keeps its MAC, and prunes what went meanwhile once in sync", async () => {
    const mac = bench.kernel.network.links.get("flannel.1")?.mac;
    await bench.start();
    const [hello] = bench.stream.heard;
    assert.ok(hello?.$case === "hello");
    assert.equal(hello.value.revision, 10);
    assert.equal(hello.value.instance, "i");
    await bench.stream.say(welcome(), delta(10, [], [OTHER.key]));
    await bench.until("it asks for its lease", () => registrations() > 0);
    await bench.stream.say(registered(lastRequest(), given()));
    await bench.until("it is ready", isReady);
    const routes = [...bench.kernel.network.routes.keys()];
    assert.ok(routes.some((key) => key.startsWith("10.244.2.0/24")));
    assert.ok(!routes.some((key) => key.startsWith("10.244.3.0/24")));
    assert.equal(bench.kernel.network.links.get("flannel.1")?.mac, mac);
    assert.equal(given().attrs.backendData, JSON.stringify({ VNI: 1, VtepMAC: mac }));
  });
});

describe("--release-on-exit", () => {
  it("gives the lease back at the end, keeps the kernel, and does not ask again", async () => {
    await bench.start("--release-on-exit");
    const own = await joinNetwork(PEER);
    const asked = registrations();
    const stopped = bench.stop();
    await bench.until("it says Release", () => bench.stream.kinds.includes("release"));
    await bench.stream.say(delta(10, [], [own.key]));
    await bench.clock.advance(100);
    await stopped;
    assert.equal(bench.log.of("lease.released").length, 1);
    assert.equal(registrations(), asked);
    assert.ok(bench.kernel.network.links.has("flannel.1"));
  });

  it("does not wait for ever for a controller that does not answer", async () => {
    await bench.start("--release-on-exit");
    await joinNetwork(PEER);
    const stopped = bench.stop();
    await bench.clock.advance(4000);
    await stopped;
    assert.equal(bench.log.of("lease.unreleased").length, 1);
  });
});
