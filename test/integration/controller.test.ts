/**
 * Real controllers on a real etcd, spoken to as agents do: what is written, what is told, and
 * what survives restarts, lost leaders, strangers and nonsense.
 */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { credentials } from "@grpc/grpc-js";
import { digestOf, formatDigest } from "../../common/lease/lease-digest.ts";
import { AllocatorClient } from "../../proto/gen/twill/v1/fabric.ts";
import { until } from "../../scripts/testbed/poll.ts";
import { ControllerProcess } from "../support/controller-process.ts";
import { type EtcdCluster, startEtcd } from "../support/etcd-server.ts";
import { leaseValue } from "../support/lease-texts.ts";
import { SyncAgent } from "../support/sync-agent.ts";

const PREFIX = "/coreos.com/network";
const CONFIG = '{"Network":"10.5.0.0/16","Backend":{"Type":"vxlan"}}';
const PATIENCE = { deadlineMs: 30_000 };

async function ready(...controllers: readonly ControllerProcess[]): Promise<void> {
  for (const controller of controllers) {
    await until(`${controller.name} is ready`, PATIENCE, async () => {
      const status = await controller.status();
      return status.leader !== "" && status.config !== undefined ? true : undefined;
    });
  }
}

async function leaderOf(controllers: readonly ControllerProcess[]): Promise<ControllerProcess> {
  return until("somebody leads", PATIENCE, async () => {
    const [any] = controllers;
    const status = await any?.status();
    return controllers.find(({ address }) => address === status?.leader);
  });
}

async function leaseKeys(etcd: EtcdCluster): Promise<readonly string[]> {
  const keys = await etcd.etcdctl("get", "--prefix", "--keys-only", `${PREFIX}/subnets/`);
  return keys.split("\n").filter((key) => key !== "");
}

describe("a controller", () => {
  let etcd: EtcdCluster;
  let controller: ControllerProcess;

  before(async () => {
    etcd = await startEtcd();
    await etcd.etcdctl("put", `${PREFIX}/config`, CONFIG);
    controller = await ControllerProcess.start("ctl-1", { etcd: etcd.endpoints });
    await ready(controller);
  });

  after(async () => {
    await controller.kill();
    await etcd.close();
  });

  it("gives three nodes their leases and tells each of all", async () => {
    const nodes = ["a", "b", "c"].map((name) => new SyncAgent(name, controller.address).hello());
    const keys: string[] = [];
    for (const [index, node] of nodes.entries()) {
      keys.push(await node.obtain(`10.99.0.${index + 1}`));
    }
    assert.deepEqual(keys, ["10.5.1.0-24", "10.5.2.0-24", "10.5.3.0-24"]);
    for (const node of nodes) {
      await node.until("all three leases", () => node.table.size === 3 || undefined);
      assert.equal(formatDigest(digestOf(node.table.leases())), node.table.position.digest);
      node.ack();
    }
    const converged = await until("every ack is seen", PATIENCE, async () => {
      const status = await controller.status();
      const applied = status.nodes.map((node) => node.appliedRevision);
      return applied.every((revision) => revision === status.revision) ? status : undefined;
    });
    assert.deepEqual(converged.nodes.map(({ node }) => node).toSorted(), ["a", "b", "c"]);
    const stored = await etcd.etcdctl("get", "--print-value-only", `${PREFIX}/subnets/10.5.1.0-24`);
    assert.equal(stored.trim(), leaseValue("10.99.0.1"));
    for (const node of nodes) node.close();
  });

  it("resumes agents by delta after it was killed and started again", async () => {
    using first = new SyncAgent("a", controller.address).hello();
    await first.inSync();
    await controller.kill();
    first.close();
    await etcd.etcdctl("put", `${PREFIX}/subnets/10.5.77.0-24`, leaseValue("10.99.7.7"));
    await controller.restart();
    await ready(controller);
    using again = new SyncAgent("a", controller.address, first.table).hello();
    await again.until("the lease that came meanwhile", () => again.table.get("10.5.77.0-24"));
    assert.equal(again.of("snapshotBegin").length, 0);
    assert.equal(again.of("delta").length, 1);
  });

  it("tells an agent that holds the newest table so at once, without sending it", async () => {
    using first = new SyncAgent("a", controller.address).hello();
    await first.inSync();
    first.close();
    using again = new SyncAgent("a", controller.address, first.table).hello();
    const bookmark = await again.until("a bookmark", () => again.of("bookmark").at(0));
    assert.equal(bookmark.value.digest, again.table.position.digest);
    assert.equal(again.of("snapshotBegin").length + again.of("delta").length, 0);
  });

  it("streams foreign leases, skips nonsense, and takes no harm from either", async () => {
    using node = new SyncAgent("a", controller.address).hello();
    await node.inSync();
    const before = node.table.size;
    const put = async (key: string, value: string): Promise<void> => {
      await etcd.etcdctl("put", `${PREFIX}/subnets/${key}`, value);
    };
    await put("10.5.200.0-24", "not json");
    await put("10.5.201.300-24", leaseValue("10.99.9.1"));
    await put("10.5.202.0-24&fd05:0:0:9::-64", leaseValue("10.99.9.2"));
    await put("10.5.203.0-24", '{"PublicIP":"10.99.9.3","PublicIPv6":null}');
    await node.until("the foreign leases", () => node.table.get("10.5.203.0-24"));
    assert.equal(node.table.size, before + 2);
    assert.equal(controller.events("record.malformed").length, 2);
    assert.equal((await controller.status()).malformedKeys, 2);
    await etcd.etcdctl("put", `${PREFIX}/config`, '{"Network":"nonsense"}');
    await until(
      "the bad config is refused",
      PATIENCE,
      () => controller.events("config.rejected")[0],
    );
    using newcomer = new SyncAgent("late", controller.address).hello();
    assert.match(await newcomer.obtain("10.99.8.8"), /^10\.5\.\d+\.0-24$/);
    await etcd.etcdctl(
      "put",
      `${PREFIX}/config`,
      '{"Network":"10.6.0.0/16","Backend":{"Type":"vxlan"}}',
    );
    const config = await node.until("the new config", () => node.of("config").at(-1));
    assert.match(config.value.json, /10\.6\.0\.0/);
    await etcd.etcdctl("put", `${PREFIX}/config`, CONFIG);
  });

  it("claims a connected node's lease again when somebody deletes it", async () => {
    using node = new SyncAgent("victim", controller.address).hello();
    const key = await node.obtain("10.99.5.5");
    await node.until("its lease in the table", () => node.table.get(key));
    await etcd.etcdctl("del", `${PREFIX}/subnets/${key}`);
    await node.until("the same lease, unasked", () => node.of("registered").at(1));
    assert.equal(node.of("registered").at(1)?.value.lease?.key, key);
    assert.ok((await leaseKeys(etcd)).includes(`${PREFIX}/subnets/${key}`));
  });

  it("refuses another node's address and names both, and lets go on request", async () => {
    using one = new SyncAgent("one", controller.address).hello();
    const key = await one.obtain("10.99.6.1");
    using two = new SyncAgent("two", controller.address).hello();
    assert.equal(await two.obtain("10.99.6.1"), "LEASE_CONFLICT");
    assert.match(two.of("refused")[0]?.value.message ?? "", /node two .* node one/);
    one.send({ $case: "release", value: { request: 2 } });
    await one.until("its lease gone", () => (one.table.get(key) === undefined ? true : undefined));
    assert.match(await two.obtain("10.99.6.1"), /^10\.5\./);
  });

  it("ends a stream that breaks the protocol, and says how", async () => {
    const cases: readonly [RegExp, (agent: SyncAgent) => unknown][] = [
      [/ack before Hello/, (agent) => agent.ack()],
      [/node x sent a second Hello/, (agent) => agent.hello().hello()],
      [/Hello\.node is "no\/name"/, (agent) => agent.hello({ node: "no/name" })],
      [
        /a message of \d+ bytes; the limit is 65536/,
        (agent) => agent.hello({ version: "v".repeat(70_000) }),
      ],
      [/Hello lists 65 items/, (agent) => agent.hello({ features: Array<string>(65).fill("f") })],
    ];
    for (const [message, misbehave] of cases) {
      using agent = new SyncAgent("x", controller.address);
      misbehave(agent);
      const end = await agent.ended();
      assert.equal(end.code, "PROTOCOL_VIOLATION");
      assert.match(end.message, message);
    }
    const end = new SyncAgent("x", controller.address).hello();
    assert.ok(await end.inSync(), "and the node may come again");
    end.close();
  });

  it("answers health and metrics over HTTP", async () => {
    assert.equal(await controller.httpStatus("/healthz"), 200);
    assert.equal(await controller.httpStatus("/readyz"), 200);
    const metrics = await (await fetch(`${controller.adminUrl}/metrics`)).text();
    assert.match(metrics, /^twill_leader 1$/m);
  });
});

describe("two controllers", () => {
  it("allocate through whoever leads, also after the leader was killed, and nothing twice", async () => {
    await using etcd = await startEtcd();
    await etcd.etcdctl("put", `${PREFIX}/config`, CONFIG);
    const options = { etcd: etcd.endpoints };
    await using one = await ControllerProcess.start("ctl-1", options);
    await using two = await ControllerProcess.start("ctl-2", options);
    const both = [one, two];
    await ready(one, two);
    const leader = await leaderOf(both);
    const follower = both.find((each) => each !== leader) ?? one;
    using node = new SyncAgent("a", follower.address).hello();
    assert.equal(await node.obtain("10.99.0.1"), "10.5.1.0-24", "through the follower");
    await leader.kill();
    using other = new SyncAgent("b", follower.address).hello();
    assert.equal(await other.obtain("10.99.0.2"), "10.5.2.0-24", "when the follower leads");
    assert.equal(node.end, undefined, "streams of the follower noticed nothing");
    assert.deepEqual(await leaseKeys(etcd), [
      `${PREFIX}/subnets/10.5.1.0-24`,
      `${PREFIX}/subnets/10.5.2.0-24`,
    ]);
  });

  it("give a thousand nodes that register at once a thousand subnets", async () => {
    await using etcd = await startEtcd();
    await etcd.etcdctl(
      "put",
      `${PREFIX}/config`,
      '{"Network":"10.0.0.0/12","Backend":{"Type":"vxlan"}}',
    );
    const options = { etcd: etcd.endpoints };
    await using one = await ControllerProcess.start("ctl-1", options);
    await using two = await ControllerProcess.start("ctl-2", options);
    await ready(one, two);
    const leader = await leaderOf([one, two]);
    using waits = new SyncAgent("first", leader.address).hello();
    await waits.obtain("10.98.0.1");
    const client = new AllocatorClient(leader.address, credentials.createInsecure());
    const keys = await Promise.all(Array.from({ length: 1000 }, (_, n) => allocate(client, n)));
    client.close();
    assert.equal(new Set(keys).size, 1000);
    assert.equal((await leaseKeys(etcd)).length, 1001);
  });
});

/** What another replica does for node n; resolves to the lease's key or the refusal's code. */
function allocate(client: AllocatorClient, n: number): Promise<string> {
  const register = {
    request: 0,
    publicIp: `10.99.${n >> 8}.${n & 255}`,
    publicIpv6: "",
    backendType: "vxlan",
    backendData: '{"VNI":1,"VtepMAC":"aa:bb:cc:00:00:01"}',
    backendV6Data: "",
    previousSubnet: "",
  };
  return new Promise((resolve, reject) => {
    client.register({ node: `node-${n}`, register }, (error, reply) => {
      if (error !== null) reject(error);
      else if (reply.outcome?.$case === "registered") resolve(reply.outcome.value.lease?.key ?? "");
      else resolve(reply.outcome?.value.code ?? "nothing");
    });
  });
}

describe("a controller without etcd", () => {
  it("waits, says so, and goes on by itself when etcd comes and goes", async () => {
    await using etcd = await startEtcd();
    await etcd.etcdctl("put", `${PREFIX}/config`, CONFIG);
    await etcd.first.kill();
    await using controller = await ControllerProcess.start("ctl-1", { etcd: etcd.endpoints });
    await until(
      "it says that etcd is away",
      PATIENCE,
      () => controller.events("store.unavailable")[0],
    );
    assert.equal(await controller.httpStatus("/healthz"), 200);
    assert.equal(await controller.httpStatus("/readyz"), 503);
    using early = new SyncAgent("a", controller.address).hello();
    assert.equal((await early.ended()).code, "STORE_UNAVAILABLE");
    await etcd.first.start();
    await ready(controller);
    using node = new SyncAgent("a", controller.address).hello();
    const key = await node.obtain("10.99.0.1");
    await node.until("its lease", () => node.table.get(key));
    await etcd.first.kill();
    await until("it is not ready", PATIENCE, async () =>
      (await controller.httpStatus("/readyz")) === 503 ? true : undefined,
    );
    assert.equal(node.end, undefined, "streams stay");
    using again = new SyncAgent("b", controller.address).hello();
    await again.inSync();
    await etcd.first.start();
    await until("it is ready again", PATIENCE, async () =>
      (await controller.httpStatus("/readyz")) === 200 ? true : undefined,
    );
    assert.ok(controller.log.split("\n").length < 200, "no log in a loop");
  });
});
