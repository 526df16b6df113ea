/**
 * What a watch must survive, each a defect measured in etcd3's own watcher: lost events when a
 * catch-up is interrupted or a message is large, silence on a hung or isolated member, later
 * watches wedged by a refused one, compaction without its revision.
 */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { TwillError } from "../../../common/errors.ts";
import type { Revision } from "../../../common/lease/lease.ts";
import type { Store } from "../../../controller/store/store.ts";
import { type EtcdCluster, startEtcd } from "../../support/etcd-server.ts";
import { openEtcdStore } from "../../support/etcd-store.ts";
import { LogCapture } from "../../support/log-capture.ts";
import { put, take, write } from "../../support/store-contract.ts";
import { TcpProxy } from "../../support/tcp-proxy.ts";
import { until } from "../../support/until.ts";
import { WatchRecorder } from "../../support/watch-recorder.ts";

const signal = AbortSignal.timeout(300_000);
/** For what must end by itself, so that a failure is no long wait. */
const soon = (): AbortSignal => AbortSignal.timeout(30_000);

/** Writes `count` revisions with one put each, several under way at once; the first and the last. */
async function writeRevisions(
  store: Store,
  count: number,
  value = "",
): Promise<{ readonly before: Revision; readonly last: Revision }> {
  const { revision: before } = await store.list("none", { signal });
  for (let from = 0; from < count; from += 100) {
    const numbers = Array.from({ length: Math.min(100, count - from) }, (_, i) => from + i);
    await Promise.all(numbers.map((n) => write(store, [put(`k/${n}`, value)])));
  }
  return { before, last: before + count };
}

const range = (from: Revision, to: Revision): readonly Revision[] =>
  Array.from({ length: to - from }, (_, i) => from + 1 + i);

describe("a watch of one etcd", () => {
  let etcd: EtcdCluster;
  let direct: Store & AsyncDisposable;

  before(async () => {
    etcd = await startEtcd();
    direct = await openEtcdStore(etcd.endpoints);
  });

  after(async () => {
    await direct[Symbol.asyncDispose]();
    await etcd.close();
  });

  it("loses and repeats nothing when the connection is cut during a catch-up of 6,000 revisions", async () => {
    const { before, last } = await writeRevisions(direct, 6_000, "x".repeat(50));
    // The share of the catch-up's bytes after which the connection is cut; none at first.
    let wholeBytes = Number.POSITIVE_INFINITY;
    for (const share of [1, 0.001, 0.15, 0.3, 0.5, 0.75, 0.95]) {
      await using proxy = await TcpProxy.start(etcd.first);
      await using store = await openEtcdStore([`http://127.0.0.1:${proxy.port}`]);
      await store.instance(signal);
      const cutBytes = Math.ceil(share * wholeBytes);
      proxy.cutAfter(cutBytes);
      await using watch = new WatchRecorder(store, "k/", before);
      await watch.reaches(last);
      assert.equal(proxy.accepted, share === 1 ? 1 : 2);
      assert.deepEqual(watch.revisions, range(before, last), `cut after ${cutBytes} bytes`);
      if (share === 1) wholeBytes = proxy.downBytes;
    }
  });

  it("loses and repeats nothing on a link that flaps while others write", async () => {
    await using proxy = await TcpProxy.start(etcd.first);
    await using store = await openEtcdStore([`http://127.0.0.1:${proxy.port}`]);
    const { revision: before } = await direct.list("none", { signal });
    await using watch = new WatchRecorder(store, "k/", before);
    let isFlapping = true;
    const writing = (async () => {
      while (isFlapping) await writeRevisions(direct, 100);
    })();
    for (let i = 0; i < 6; i += 1) {
      const seen = watch.changes.length;
      await until("the watch goes on", () => watch.changes.length > seen + 50);
      proxy.refuse(i % 2 === 0);
      const accepted = proxy.accepted;
      proxy.cut();
      await until("the client comes back", () => proxy.accepted > accepted);
      proxy.refuse(false);
    }
    isFlapping = false;
    await writing;
    const { revision: last } = await direct.list("none", { signal });
    await watch.reaches(last);
    assert.deepEqual(watch.revisions, range(before, last));
  });

  it("takes a catch-up that is larger than any message should be", async () => {
    const { revision: before } = await direct.list("none", { signal });
    for (let i = 0; i < 600; i += 1) {
      const writes = Array.from({ length: 100 }, (_, n) => put(`big/${n}`, "x".repeat(100)));
      await write(direct, writes);
    }
    const { revision: last } = await direct.list("none", { signal });
    await using watch = new WatchRecorder(direct, "big/", before);
    await watch.reaches(last, 60_000);
    assert.deepEqual(watch.revisions, range(before, last));
    assert.ok(watch.changes.every((change) => change.puts.length === 100));
  });

  it("is told of compaction, with its revision, when it was cut off meanwhile", async () => {
    await using proxy = await TcpProxy.start(etcd.first);
    await using store = await openEtcdStore([`http://127.0.0.1:${proxy.port}`]);
    const start = await write(direct, [put("c", "0")]);
    const watching = take(store.watch("c", start, soon()), 2);
    await write(direct, [put("c", "1")]);
    await until("the watch is open", () => store.state.status.kind === "connected");
    proxy.refuse(true);
    proxy.cut();
    for (let i = 0; i < 5; i += 1) await write(direct, [put("other", `${i}`)]);
    const compacted = await write(direct, [put("c", "2")]);
    await etcd.etcdctl("compact", `${compacted}`);
    proxy.refuse(false);
    await assert.rejects(watching, (error) => {
      const known = TwillError.from(error);
      assert.equal(known.code, "STORE_COMPACTED");
      assert.equal(known.context["compact_revision"], compacted);
      return true;
    });
    const next = await write(direct, [put("c", "3")]);
    assert.equal((await take(store.watch("c", compacted, signal), 1))[0]?.revision, next);
  });

  it("goes on through restarts of etcd, and tells of them once", async () => {
    const log = new LogCapture();
    await using store = await openEtcdStore(etcd.endpoints, {}, { log });
    const start = await write(direct, [put("r", "0")]);
    await using watch = new WatchRecorder(store, "r", start);
    for (let i = 1; i <= 3; i += 1) {
      const revision = await write(direct, [put("r", `${i}`)]);
      await watch.reaches(revision);
      await etcd.first.kill();
      await until("the outage is noticed", () => store.state.status.kind === "unavailable");
      await etcd.first.start();
      await until("etcd answers again", () => store.state.status.kind === "connected");
    }
    const last = await write(direct, [put("r", "end")]);
    await watch.reaches(last);
    assert.deepEqual(
      watch.changes.map((change) => change.puts[0]?.value),
      ["1", "2", "3", "end"],
    );
    assert.equal(log.of("store.unavailable").length, 3);
    assert.equal(log.of("store.connected").length, 4);
  });

  it("ends by saying list again when etcd was rebuilt and its revision went back", async () => {
    await using rebuilt = await startEtcd();
    await using proxy = await TcpProxy.start(etcd.first);
    await using store = await openEtcdStore([`http://127.0.0.1:${proxy.port}`]);
    const start = await write(direct, [put("c", "0")]);
    const watching = take(store.watch("c", start, soon()), 1);
    await until("the watch is open", () => store.state.status.kind === "connected");
    proxy.redirect(rebuilt.first);
    await assert.rejects(watching, (error) => {
      const known = TwillError.from(error);
      return known.code === "STORE_COMPACTED" && /went back from revision/.test(known.message);
    });
  });
});

describe("a watch with a refused one beside it", () => {
  it("opens and delivers after others were refused: a denied watch wedges nobody", async () => {
    await using etcd = await startEtcd();
    const setup = [
      "user add root:r",
      "user grant-role root root",
      "role add reader",
      "role grant-permission reader --prefix=true readwrite /mine/",
      "user add u:p",
      "user grant-role u reader",
      "auth enable",
    ];
    for (const command of setup) await etcd.etcdctl(...command.split(" "));
    const user = { username: "u", password: "p" };
    await using mine = await openEtcdStore(etcd.endpoints, { ...user, prefix: "/mine" });
    await using all = await openEtcdStore(etcd.endpoints, { ...user, prefix: "/" });
    const start = await write(mine, [put("k", "0")]);
    for (let i = 0; i < 5; i += 1) {
      await assert.rejects(
        () => take(all.watch("theirs/", start, soon()), 1),
        (error) => TwillError.from(error).code === "STORE_DENIED",
      );
    }
    const revision = await write(mine, [put("k", "1")]);
    assert.equal((await take(all.watch("mine/", start, signal), 1))[0]?.revision, revision);
    assert.equal((await take(mine.watch("k", start, signal), 1))[0]?.revision, revision);
  });
});
