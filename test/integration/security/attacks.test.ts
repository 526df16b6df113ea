/**
 * What somebody with a certificate, a stolen one or none can try on a controller. After all of
 * it the controller serves as before, and a node that behaves has not lost its stream. etcd lets
 * the controller touch its own prefix and nothing else.
 */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { after, before, describe, it } from "node:test";
import { AgentMessage } from "../../../proto/gen/twill/v1/fabric.ts";
import { until } from "../../../scripts/testbed/poll.ts";
import { ControllerProcess } from "../../support/controller-process.ts";
import { type EtcdCluster, startEtcd } from "../../support/etcd-server.ts";
import { framed, type RawEnd, RawLine } from "../../support/raw-call.ts";
import { seededRandom } from "../../support/seeded-random.ts";
import { SyncAgent } from "../../support/sync-agent.ts";
import {
  credentialsOf,
  EXPIRED,
  type IssueWish,
  NOT_YET_VALID,
  TestPki,
} from "../../support/test-pki.ts";

const PREFIX = "/coreos.com/network";
const CONFIG = '{"Network":"10.5.0.0/16","Backend":{"Type":"vxlan"}}';
const PASSWORD = "etcd-password-of-this-test";
const PATIENCE = { deadlineMs: 30_000 };
const SYNC = "/twill.v1.Fabric/Sync";
const UNARY = [
  ...["/twill.v1.Operator/GetStatus", "/twill.v1.Allocator/Register", "/twill.v1.Membership/Renew"],
  ...["/twill.v1.Membership/Invite", "/grpc.health.v1.Health/Check", "/no.such/Method"],
] as const;
const FUZZ_CALLS = 150;

describe("attacks on a controller", () => {
  let etcd: EtcdCluster;
  let pki: TestPki;
  let controller: ControllerProcess;
  let steady: SyncAgent;

  before(async () => {
    etcd = await startEtcd();
    await etcd.etcdctl("put", `${PREFIX}/config`, CONFIG);
    for (const command of [
      "user add root:root",
      "user grant-role root root",
      "role add twill",
      `role grant-permission twill --prefix=true readwrite ${PREFIX}/`,
      `user add twill:${PASSWORD}`,
      "user grant-role twill twill",
      "auth enable",
    ]) {
      await etcd.etcdctl(...command.split(" "));
    }
    pki = await TestPki.create();
    const tls = await pki.files("controller", "ctl-1");
    const args = ["--etcd-username", "twill", "--etcd-password", PASSWORD];
    controller = await ControllerProcess.start("ctl-1", { etcd: etcd.endpoints, tls, args });
    await until("it serves", PATIENCE, async () =>
      (await controller.httpStatus("/readyz")) === 200 ? true : undefined,
    );
    steady = await agent("steady");
    await steady.obtain("10.99.0.1");
  });

  after(async () => {
    steady.close();
    await controller.kill();
    await etcd.close();
    await pki[Symbol.asyncDispose]();
  });

  async function agent(node: string, wish: IssueWish = {}): Promise<SyncAgent> {
    const channel = await credentialsOf(await pki.files("node", node, wish));
    return new SyncAgent(node, controller.address, undefined, channel).hello();
  }

  async function raw(node: string, from?: string): Promise<RawLine> {
    const [ca, pair] = [await readFile(pki.caFile, "utf8"), await pki.pair("node", node)];
    return new RawLine(controller.address, { ca, pair, ...(from === undefined ? {} : { from }) });
  }

  function hello(node: string): Buffer {
    const held = { instance: "", revision: 0, digest: "" };
    const value = { node, version: "attack", process: "", features: [], ...held };
    return framed(AgentMessage.encode({ body: { $case: "hello", value } }).finish());
  }

  function assertUnharmed(): void {
    assert.equal(steady.end, undefined, "the node that behaves keeps its stream");
  }

  it("an expired certificate and one that is not valid yet come to nothing", async () => {
    for (const wish of [EXPIRED, NOT_YET_VALID]) {
      using late = await agent("late", wish);
      assert.equal((await late.ended()).code, "CONTROLLER_UNAVAILABLE");
    }
    assertUnharmed();
  });

  it("a stolen certificate used from another address is refused while its node is connected", async () => {
    using thief = await raw("steady", "127.0.0.9");
    const end = await thief.call(SYNC, hello("steady"));
    assert.equal(end.code, "IDENTITY_REFUSED");
    assert.match(end.message, /connected from 127\.0\.0\.1:[0-9]+ already, so 127\.0\.0\.9/);
    assertUnharmed();
  });

  it("a node gets neither another's public address nor its subnet, nor an address that is not its own", async () => {
    using rival = await agent("rival");
    assert.equal(await rival.obtain("10.99.0.1"), "LEASE_CONFLICT");
    const taken = { previousSubnet: "10.5.1.0-24" };
    assert.equal(await rival.obtain("10.99.0.2", taken), "SUBNET_TAKEN");
    using bound = await agent("bound", { altNames: { dns: [], ip: ["10.99.0.3"] } });
    assert.equal(await bound.obtain("10.99.0.4"), "IDENTITY_REFUSED");
    assert.match(await bound.obtain("10.99.0.3"), /^10\.5\./);
    const first = await etcd.etcdctl("--user", "root:root", "get", `${PREFIX}/subnets/10.5.1.0-24`);
    assert.match(first, /"PublicIP":"10\.99\.0\.1"/);
    assertUnharmed();
  });

  it("forged acks say something of who sends them, and of nobody else", async () => {
    using liar = await agent("liar");
    await liar.inSync();
    const value = { failures: [], applyMs: 0, digest: "f".repeat(16) };
    const { instance, revision } = liar.table.position;
    for (const forged of [
      { instance: "another-cluster", revision },
      { instance, revision: revision + 1_000_000 },
      { instance, revision },
    ]) {
      liar.send({ $case: "ack", value: { ...value, ...forged } });
    }
    await until("the lie is found", PATIENCE, () => controller.events("table.diverged")[0]);
    assert.equal(controller.events("table.diverged")[0]?.["node"], "liar");
    steady.ack();
    using other = await agent("other");
    await other.inSync();
    assertUnharmed();
  });

  it("oversized, malformed and lying frames end their own call, with the reason", async () => {
    const endOf = async (...body: readonly Uint8Array[]): Promise<RawEnd> => {
      using line = await raw("mallory");
      return await line.call(SYNC, ...body);
    };
    using wordy = await agent("wordy");
    const reason = "x".repeat(65 * 1024);
    wordy.send({ $case: "report", value: { drift: [], state: "", reason } });
    const large = await wordy.ended();
    assert.equal(large.code, "PROTOCOL_VIOLATION");
    assert.match(large.message, /a message of 6[0-9]{4} bytes; the limit is 65536/);
    const huge = await endOf(framed(randomBytes(1024), 64 * 1024 * 1024));
    assert.equal(huge.status, "8", "RESOURCE_EXHAUSTED, before anything is read into memory");
    assert.equal((await endOf(framed(Buffer.from([0xff, 0xff])))).code, "PROTOCOL_VIOLATION");
    assert.equal((await endOf(framed(Buffer.alloc(0)))).code, "PROTOCOL_VIOLATION");
    assert.equal((await endOf(hello("mallory"), hello("mallory"))).code, "PROTOCOL_VIOLATION");
    assert.equal((await endOf(hello("somebody-else"))).code, "IDENTITY_REFUSED");
    assertUnharmed();
  });

  it("random bytes on every method end in a status, and nothing else", async () => {
    const seed = randomBytes(4).readUInt32BE();
    const next = seededRandom(seed);
    let line = await raw("fuzz");
    for (let call = 0; call < FUZZ_CALLS; call += 1) {
      // One certificate may call only so often; every so many calls come by another.
      if (call % 50 === 49) {
        line[Symbol.dispose]();
        line = await raw(`fuzz-${call}`);
      }
      const path = UNARY[Math.floor(next() * UNARY.length)] ?? SYNC;
      const bytes = Buffer.from(Array.from({ length: next() * 64 }, () => next() * 256));
      const end = await line.ask(path, framed(bytes));
      assert.match(end.status, /^[0-9]+$/, `seed ${seed}, call ${call} of ${path}`);
      assert.notEqual(end.code, "BUG", `seed ${seed}, call ${call} of ${path}`);
    }
    line[Symbol.dispose]();
    assert.deepEqual(controller.events("process.failed"), []);
    assertUnharmed();
  });

  it("rights that etcd takes back are told as such, and given again they are used again", async () => {
    const asRoot = ["--user", "root:root"];
    await etcd.etcdctl(...asRoot, "user", "revoke-role", "twill", "twill");
    using early = await agent("early-comer");
    assert.equal(await early.obtain("10.99.0.76"), "STORE_DENIED");
    await etcd.etcdctl(...asRoot, "user", "grant-role", "twill", "twill");
    using late = await agent("late-comer");
    assert.match(await late.obtain("10.99.0.77"), /^10\.5\./);
    assertUnharmed();
  });

  it("nothing of it brought a password or key into the log", () => {
    assert.ok(!controller.log.includes(PASSWORD));
    assert.doesNotMatch(controller.log, /PRIVATE KEY/);
  });
});
