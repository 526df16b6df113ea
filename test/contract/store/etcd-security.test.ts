/**
 * TLS, certificates as users, passwords and tokens against a real etcd; and that a wrong one is
 * told by name and soon, not mistaken for an outage or waited for.
 */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { TwillError } from "../../../common/errors.ts";
import type { EtcdOptionTexts } from "../../../controller/store/etcd-options.ts";
import type { EtcdStore } from "../../../controller/store/etcd-store.ts";
import { type EtcdCluster, startEtcd } from "../../support/etcd-server.ts";
import { openEtcdStore } from "../../support/etcd-store.ts";
import { TestAuthority } from "../../support/etcd-tls.ts";
import { LogCapture } from "../../support/log-capture.ts";
import { put, sharedSignal, write } from "../../support/store-contract.ts";
import { until } from "../../support/until.ts";
import { WatchRecorder } from "../../support/watch-recorder.ts";

const signal = sharedSignal();
const LOOPBACK = { commonName: "server", ip: ["127.0.0.1"] };
/** Instead of the 10 s of production: the tests of refusals wait for the end of the budget. */
const RETRY = {
  budgetMs: 1_000,
  backoff: { initialMs: 100, maxMs: 500, factor: 2, jitter: 0 },
};

const open = (url: string, texts: Partial<EtcdOptionTexts>): Promise<EtcdStore> =>
  openEtcdStore([url], texts, { retry: RETRY });

/** What the store says when it is first asked, and what health and log say of it. */
async function refusal(url: string, texts: Partial<EtcdOptionTexts>): Promise<TwillError> {
  const log = new LogCapture();
  await using store = await openEtcdStore([url], texts, { retry: RETRY, log });
  const error = await store.list("", { signal }).then(
    () => assert.fail("it was let in"),
    (thrown: unknown) => TwillError.from(thrown),
  );
  assert.equal(store.state.status.kind, "unavailable");
  assert.equal(log.of("store.unavailable").length, 1);
  return error;
}

describe("an etcd with TLS and client certificates", () => {
  let authority: TestAuthority;
  let stranger: TestAuthority;
  let etcd: EtcdCluster;
  let files: Partial<EtcdOptionTexts>;
  let httpUrl: string;

  before(async () => {
    authority = await TestAuthority.create();
    stranger = await TestAuthority.create("stranger");
    const server = await authority.issue("server", LOOPBACK);
    const client = await authority.issue("client", { commonName: "controller" });
    etcd = await startEtcd({
      tls: {
        ...server,
        caFile: authority.caFile,
        clientCertAuth: true,
        clientCertFile: client.certFile,
        clientKeyFile: client.keyFile,
      },
    });
    files = { caFile: authority.caFile, ...client };
    httpUrl = etcd.first.clientUrl.replace("https:", "http:");
  });

  after(async () => {
    await etcd.close();
    await authority[Symbol.asyncDispose]();
    await stranger[Symbol.asyncDispose]();
  });

  it("is spoken to with TLS also when the endpoint is written http://", async () => {
    for (const url of [httpUrl, etcd.first.clientUrl]) {
      await using store = await open(url, files);
      const revision = await write(store, [put("tls", "1")]);
      await using watch = new WatchRecorder(store, "tls", revision - 1);
      await watch.reaches(revision);
      const id = await store.grantLease(60, signal);
      assert.equal(await store.keepAlive(id, signal), 60);
    }
  });

  it("is told apart when its CA is not the one given", async () => {
    const error = await refusal(httpUrl, { ...files, caFile: stranger.caFile });
    assert.equal(error.code, "STORE_UNAVAILABLE");
    assert.match(error.message, /TLS failed: check --etcd-cafile/);
  });

  it("is told apart when it wants a client certificate and there is none", async () => {
    const error = await refusal(etcd.first.clientUrl, { caFile: authority.caFile });
    assert.match(error.message, /TLS failed/);
  });

  it("is told apart when the system's CAs do not know it", async () => {
    assert.match((await refusal(etcd.first.clientUrl, {})).message, /TLS failed/);
  });

  it("is hinted at when it is spoken to without TLS", async () => {
    assert.match((await refusal(httpUrl, {})).message, /if this port speaks TLS, write https:/);
  });

  it("takes a renewed certificate without a restart of ours", async () => {
    const names = { commonName: "controller" };
    const renewed = await authority.issue("renewed", { ...names, days: -1 });
    await using store = await open(httpUrl, { ...files, ...renewed });
    await assert.rejects(store.list("", { signal }), /TLS failed/);
    await authority.issue("renewed", names);
    await until("the new certificate is used", () =>
      store.list("", { signal }).then(
        () => true,
        () => false,
      ),
    );
  });
});

describe("an etcd with TLS alone", () => {
  it("is trusted by a CA file alone, on an http:// endpoint too", async () => {
    await using authority = await TestAuthority.create();
    const server = await authority.issue("server", LOOPBACK);
    await using etcd = await startEtcd({
      tls: { ...server, caFile: authority.caFile, clientCertAuth: false },
    });
    const url = etcd.first.clientUrl.replace("https:", "http:");
    await using store = await open(url, { caFile: authority.caFile });
    await write(store, [put("ca", "1")]);
  });

  it("is refused when its certificate is for another name", async () => {
    await using authority = await TestAuthority.create();
    const server = await authority.issue("server", { commonName: "x", dns: ["elsewhere.example"] });
    await using etcd = await startEtcd({
      tls: { ...server, caFile: authority.caFile, clientCertAuth: false },
    });
    const error = await refusal(etcd.first.clientUrl, { caFile: authority.caFile });
    assert.match(error.message, /does not match certificate's altnames.*TLS failed/);
  });
});

describe("TLS files that cannot be used", () => {
  it("are refused before anything connects, each by name", async () => {
    await using authority = await TestAuthority.create();
    const one = await authority.issue("one", { commonName: "one" });
    const two = await authority.issue("two", { commonName: "two" });
    const caFile = authority.caFile;
    const cases: readonly (readonly [Partial<EtcdOptionTexts>, RegExp])[] = [
      [{ caFile: "/no/such/ca" }, /--etcd-cafile: ENOENT.*\/no\/such\/ca/],
      [{ caFile, certFile: "/no/cert", keyFile: one.keyFile }, /--etcd-certfile: ENOENT/],
      [{ caFile: one.keyFile }, /--etcd-cafile|etcd TLS files/],
      [{ caFile, certFile: one.certFile, keyFile: two.keyFile }, /etcd TLS files .*mismatch/],
    ];
    for (const [texts, text] of cases) {
      await assert.rejects(open("http://127.0.0.1:1", texts), (error) => {
        const known = TwillError.from(error);
        assert.equal(known.code, "OPTION_INVALID");
        assert.match(known.message, text);
        return true;
      });
    }
  });

  it("does not take a plain port for TLS", async () => {
    await using etcd = await startEtcd();
    await using authority = await TestAuthority.create();
    const error = await refusal(etcd.first.clientUrl, { caFile: authority.caFile });
    assert.match(error.message, /check .*that this port speaks TLS/);
  });
});

describe("an etcd with users and passwords", () => {
  let etcd: EtcdCluster;
  const user = { username: "controller", password: "secret" };

  before(async () => {
    etcd = await startEtcd();
    for (const command of [
      "user add root:root",
      "user grant-role root root",
      "role add network",
      "role grant-permission network --prefix=true readwrite /coreos.com/network/",
      "user add controller:secret",
      "user grant-role controller network",
      "auth enable",
    ]) {
      await etcd.etcdctl(...command.split(" "));
    }
  });

  after(() => etcd.close());

  it("lets the user in, with everything the store does", async () => {
    await using store = await open(etcd.first.clientUrl, user);
    const id = await store.grantLease(60, signal);
    const revision = await write(store, [put("a", "1", id)]);
    await using watch = new WatchRecorder(store, "", revision - 1);
    await watch.reaches(revision);
    assert.equal(await store.keepAlive(id, signal), 60);
    assert.equal((await store.list("", { signal })).entries.length, 1);
    await store.revokeLease(id, signal);
  });

  it("says how to get in when there is no user, or a wrong password", async () => {
    const nobody = await refusal(etcd.first.clientUrl, {});
    assert.equal(nobody.code, "STORE_DENIED");
    assert.match(nobody.message, /give --etcd-username and --etcd-password/);
    const wrong = await refusal(etcd.first.clientUrl, { ...user, password: "wrong" });
    assert.equal(wrong.code, "STORE_DENIED");
    assert.match(wrong.message, /check --etcd-username and --etcd-password/);
    assert.ok(!wrong.message.includes("wrong"));
  });

  it("says which right is missing outside the user's range", async () => {
    await using store = await open(etcd.first.clientUrl, { ...user, prefix: "/elsewhere" });
    for (const call of [() => store.list("", { signal }), () => write(store, [put("a", "1")])]) {
      await assert.rejects(call, (error) => {
        const known = TwillError.from(error);
        return known.code === "STORE_DENIED" && /etcdctl role grant-perm/.test(known.message);
      });
    }
  });

  it("goes on when etcd forgets every token: calls, keep-alives and the running watch", async () => {
    await using store = await openEtcdStore([etcd.first.clientUrl], user);
    const id = await store.grantLease(60, signal);
    const first = await write(store, [put("t", "1")]);
    await using watch = new WatchRecorder(store, "t", first);
    const second = await write(store, [put("t", "2")]);
    await watch.reaches(second);
    // Simple tokens live in the member's memory.
    await etcd.first.stop();
    await etcd.first.start();
    const calls = Array.from({ length: 30 }, () => store.list("", { signal }));
    await Promise.all([...calls, store.keepAlive(id, signal)]);
    const third = await write(store, [put("t", "3")]);
    await watch.reaches(third);
    assert.deepEqual(watch.revisions, [second, third]);
  });
});

describe("an etcd without users", () => {
  it("takes a user that is given all the same, as etcd's own clients do", async () => {
    await using etcd = await startEtcd();
    await using store = await open(etcd.first.clientUrl, { username: "u", password: "p" });
    await write(store, [put("a", "1")]);
  });
});

describe("an etcd whose space is used up", () => {
  it("is told apart, with the way out, and takes writes again afterwards", async () => {
    await using etcd = await startEtcd({ args: ["--quota-backend-bytes=4000000"] });
    await using store = await open(etcd.first.clientUrl, {});
    const fill = async (): Promise<void> => {
      for (let i = 0; i < 100; i += 1) await write(store, [put("fill", "x".repeat(1_000_000))]);
    };
    await assert.rejects(fill, (error) => {
      const known = TwillError.from(error);
      return known.code === "STORE_FULL" && /compact and defragment/.test(known.message);
    });
    await assert.rejects(
      () => store.grantLease(60, signal),
      (error) => TwillError.from(error).code === "STORE_FULL",
    );
    const { revision, entries } = await store.list("", { signal });
    assert.equal(entries.length, 1);
    await etcd.etcdctl("compact", `${revision}`);
    await etcd.etcdctl("defrag");
    await etcd.etcdctl("alarm", "disarm");
    await write(store, [put("fill", "")]);
  });
});

describe("no etcd at all", () => {
  it("is an error within the budget, told once, and no exit", async () => {
    const error = await refusal("http://127.0.0.1:9", {});
    assert.equal(error.code, "STORE_UNAVAILABLE");
    assert.match(error.message, /etcd at http:\/\/127\.0\.0\.1:9: .*ECONNREFUSED/);
  });

  it("keeps a write from being done, which is known", async () => {
    await using store = await open("http://127.0.0.1:9", {});
    await assert.rejects(
      () => write(store, [put("a", "1")]),
      (error) => TwillError.from(error).code === "STORE_UNAVAILABLE",
    );
  });
});
