/**
 * Elections over a real etcd under the faults that gave etcd3's election two leaders, none, or
 * hundreds of campaigns.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { afterEach, beforeEach, describe, it } from "node:test";
import { systemClock } from "../../../common/async/clock.ts";
import { ELECTION_RANGE, observeLeader } from "../../../controller/store/election.ts";
import type { EtcdStore } from "../../../controller/store/etcd-store.ts";
import { EtcdReplica, overlaps } from "../../support/etcd-replica.ts";
import { type EtcdCluster, startEtcd } from "../../support/etcd-server.ts";
import { openEtcdStore } from "../../support/etcd-store.ts";
import { TcpProxy } from "../../support/tcp-proxy.ts";
import { until } from "../../support/until.ts";

const TTL_SECONDS = 5;
const ELECTION = `/coreos.com/network/${ELECTION_RANGE}`.replace(/\/$/, "");

describe("an election over a real etcd", () => {
  let etcd: EtcdCluster;
  let proxy: TcpProxy;
  /** a's store reaches etcd through the proxy, b's directly. */
  let storeA: EtcdStore;
  let storeB: EtcdStore;

  beforeEach(async () => {
    etcd = await startEtcd();
    proxy = await TcpProxy.start(etcd.first);
    storeA = await openEtcdStore([`http://127.0.0.1:${proxy.port}`]);
    storeB = await openEtcdStore(etcd.endpoints);
  });

  afterEach(async () => {
    await Promise.all([storeA.close(), storeB.close()]);
    await proxy.close();
    await etcd.close();
  });

  const candidates = async (): Promise<readonly string[]> => {
    const keys = await etcd.etcdctl("get", "--prefix", ELECTION, "--keys-only");
    return keys.split("\n").filter((line) => line !== "");
  };

  for (const [fault, directions] of [
    ["nothing passes", ["up", "down"]],
    ["requests pass but no answers", ["down"]],
    ["requests do not pass", ["up"]],
  ] as const) {
    it(`has the leader give up before another is elected when ${fault}`, async () => {
      await using a = new EtcdReplica(storeA, "a", TTL_SECONDS);
      await until("a leads", () => a.isLeading);
      await using b = new EtcdReplica(storeB, "b", TTL_SECONDS);
      await until("b stands", async () => (await candidates()).length === 2);
      proxy.pause(...directions);
      await until("b leads", () => b.isLeading, 60_000);
      const endedMs = a.terms[0]?.endedMs;
      const gainedMs = b.term?.gainedMs ?? 0;
      assert.ok(endedMs !== undefined && endedMs < gainedMs, `${endedMs} before ${gainedMs}`);
      proxy.resume();
      await until("a stands again", async () => (await candidates()).length === 2);
      assert.equal(a.isLeading, false);
      assert.equal(overlaps([a, b]), 0);
    });
  }

  it("never has two leaders after an outage, and one campaign of each", async () => {
    await using a = new EtcdReplica(storeA, "a", TTL_SECONDS);
    await using b = new EtcdReplica(storeB, "b", TTL_SECONDS);
    const replicas = [a, b];
    const leading = (): number => replicas.filter((replica) => replica.isLeading).length;
    await until("one leads", () => leading() === 1);
    await etcd.first.kill();
    await until("nobody leads", () => leading() === 0);
    // Long enough for campaigns to pile up, if they did.
    const tried = (replica: EtcdReplica): number => replica.log.of("election.interrupted").length;
    await until("each tries again and again", () => tried(a) > 2 && tried(b) > 2, 60_000);
    await etcd.first.start();
    await until("one leads", () => leading() === 1);
    await until("the other stands", async () => (await candidates()).length === 2);
    // Those of before the outage end; each campaign that goes on would keep one alive.
    await until("there are two etcd leases", async () =>
      (await etcd.etcdctl("lease", "list")).startsWith("found 2 leases"),
    );
    assert.equal(leading(), 1);
    assert.equal(overlaps(replicas), 0);
    assert.equal((await candidates()).length, 2);
  });

  it("is won by a candidate whose first answer was lost: it recognises its own key", async () => {
    // The request passes, the answer does not: the key is there, but the candidate cannot know.
    const transact = storeA.transact.bind(storeA);
    let lost = 0;
    storeA.transact = (transaction, signal) => {
      lost += 1;
      if (lost === 1) proxy.pause("down");
      return transact(transaction, signal);
    };
    await using a = new EtcdReplica(storeA, "a", 60);
    await until("the key is there", async () => (await candidates()).length === 1);
    await etcd.etcdctl("put", "/coreos.com/network/config", "{}");
    await until("the outcome is unknown", () => storeA.state.status.kind === "unavailable");
    proxy.resume();
    await until("a leads", () => a.isLeading, 60_000);
    assert.ok(lost >= 2);
    assert.deepEqual(a.log.of("election.interrupted"), [], "it is the first campaign that won");
    const [key] = await candidates();
    const entry = (await storeB.list(ELECTION_RANGE, { signal: AbortSignal.timeout(5_000) }))
      .entries[0];
    assert.equal(`/coreos.com/network/${a.term?.leadership.key}`, key);
    assert.equal(a.term?.leadership.token, entry?.createRevision);
    assert.match(await etcd.etcdctl("lease", "list"), /^found 1 leases/);
  });

  it("hands over at once when the leader stops in order", async () => {
    const a = new EtcdReplica(storeA, "a", 60);
    await until("a leads", () => a.isLeading);
    await using b = new EtcdReplica(storeB, "b", 60);
    await until("b stands", async () => (await candidates()).length === 2);
    await a.stop();
    // Its etcd lease would last 60 s.
    await until("b leads", () => b.isLeading, 10_000);
    assert.equal((await candidates()).length, 1);
  });

  it("is what etcdctl elect takes part in and observes", async () => {
    await using a = new EtcdReplica(storeA, "a", TTL_SECONDS);
    await until("a leads", () => a.isLeading);
    await using observer = etcdctl(etcd, "elect", "--listen", ELECTION);
    await until("etcdctl names a", () => observer.output.includes('{"id":"a","address":"a:7443"}'));
    await using candidate = etcdctl(etcd, "elect", ELECTION, "somebody else");
    await until("etcdctl stands", async () => (await candidates()).length === 2);
    await using b = new EtcdReplica(storeB, "b", TTL_SECONDS);
    await until("b stands", async () => (await candidates()).length === 3);
    const ended = new AbortController();
    const seen: (string | undefined)[] = [];
    const parts = { store: storeB, clock: systemClock, random: Math.random };
    const observing = (async () => {
      for await (const leader of observeLeader(parts, ended.signal)) seen.push(leader?.value);
    })().catch(() => undefined);
    await until("a is observed", () => seen.length === 1);
    await a.stop();
    await until("etcdctl leads", () => candidate.output.includes("somebody else"));
    await until("etcdctl sees itself", () => observer.output.includes("somebody else"));
    assert.equal(b.isLeading, false);
    await candidate.interrupt();
    await until("b leads", () => b.isLeading);
    await until("b is observed", () => seen.length >= 3);
    ended.abort();
    await observing;
    assert.deepEqual(seen, [
      '{"id":"a","address":"a:7443"}',
      "somebody else",
      '{"id":"b","address":"b:7443"}',
    ]);
  });
});

interface RunningEtcdctl extends AsyncDisposable {
  readonly output: string;
  interrupt(): Promise<void>;
}

function etcdctl(etcd: EtcdCluster, ...args: readonly string[]): RunningEtcdctl {
  const [command, argv] = etcd.etcdctlCommand(etcd.endpoints, args);
  const child = spawn(command, argv, { env: etcd.etcdctlEnv });
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => {
    output += chunk.toString();
  });
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill(signal);
    await exited;
  };
  return {
    get output() {
      return output;
    },
    interrupt: () => end("SIGINT"),
    [Symbol.asyncDispose]: () => end("SIGKILL"),
  };
}
