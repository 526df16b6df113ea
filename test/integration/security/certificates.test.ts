/**
 * Certificates that change under a running controller: revoked, rotated, signed by another CA.
 * Streams that stand go on unless it is theirs that does not count any more.
 */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { after, before, describe, it } from "node:test";
import type { PeerTable } from "../../../agent/peers/peer-table.ts";
import { until } from "../../../scripts/testbed/poll.ts";
import { ControllerProcess } from "../../support/controller-process.ts";
import { type EtcdCluster, startEtcd } from "../../support/etcd-server.ts";
import { SyncAgent } from "../../support/sync-agent.ts";
import { credentialsOf, TestPki, type TlsFileNames } from "../../support/test-pki.ts";

const PREFIX = "/coreos.com/network";
const CONFIG = '{"Network":"10.5.0.0/16","Backend":{"Type":"vxlan"}}';
const PATIENCE = { deadlineMs: 30_000 };

describe("a controller whose certificates change while it runs", () => {
  let etcd: EtcdCluster;
  let pki: TestPki;
  let controller: ControllerProcess;
  /** Holds its stream through everything that happens here. */
  let steady: SyncAgent;

  before(async () => {
    etcd = await startEtcd();
    await etcd.etcdctl("put", `${PREFIX}/config`, CONFIG);
    pki = await TestPki.create();
    await pki.revoke();
    const tls = await pki.files("controller", "ctl-1");
    const args = ["--tls-crl-file", pki.crlFile, "--revoke-withdraws-lease"];
    controller = await ControllerProcess.start("ctl-1", { etcd: etcd.endpoints, tls, args });
    await until("it serves", PATIENCE, async () =>
      (await controller.httpStatus("/readyz")) === 200 ? true : undefined,
    );
    steady = await join("steady", await pki.files("node", "steady"));
    await steady.obtain("10.99.0.1");
  });

  after(async () => {
    steady.close();
    await controller.kill();
    await etcd.close();
    await pki[Symbol.asyncDispose]();
  });

  async function join(node: string, tls: TlsFileNames, table?: PeerTable): Promise<SyncAgent> {
    return new SyncAgent(node, controller.address, table, await credentialsOf(tls)).hello();
  }

  async function reloaded(count: number): Promise<void> {
    await until(`the files are read for the ${count}. time`, PATIENCE, () =>
      controller.events("tls.reloaded").length >= count ? true : undefined,
    );
  }

  it("ends the stream of a revoked certificate, withdraws its lease, and refuses it from then on", async () => {
    const tls = await pki.files("node", "thief");
    using thief = await join("thief", tls);
    const key = await thief.obtain("10.99.0.66");
    await pki.revoke(tls);
    const end = await thief.ended();
    assert.equal(end.code, "UNAUTHENTICATED");
    assert.match(end.message, /CN=thief.*is revoked/);
    await until("its lease is gone", PATIENCE, async () =>
      (await etcd.etcdctl("get", `${PREFIX}/subnets/${key}`)) === "" ? true : undefined,
    );
    using again = await join("thief", tls);
    assert.equal((await again.ended()).code, "UNAUTHENTICATED");
    using renewed = await join("thief", await pki.files("node", "thief"));
    await renewed.inSync();
    assert.equal(steady.end, undefined);
  });

  it("goes on with what it read before while a file holds nonsense, and says so", async () => {
    await writeFile(pki.crlFile, "half a fi");
    await until("it complains", PATIENCE, () => controller.events("tls.unusable")[0]);
    using other = await join("other", await pki.files("node", "other"));
    await other.inSync();
    await pki.revoke();
    controller.signal("SIGHUP");
    await until("it was told", PATIENCE, () => controller.events("process.reloading")[0]);
    await reloaded(2);
    assert.equal(steady.end, undefined);
  });

  it("changes to another CA without dropping a stream: both trusted, then the new one alone", async () => {
    const before = controller.events("tls.reloaded").length;
    const old = await pki.files("node", "old");
    const oldAuthority = await pki.replaceAuthority();
    await pki.trust(oldAuthority);
    await reloaded(before + 1);
    using byOld = await join("old", old);
    await byOld.inSync();
    await pki.files("controller", "ctl-1");
    await reloaded(before + 2);
    using byNew = await join("new", await pki.files("node", "new"));
    await byNew.inSync();
    await pki.revoke();
    await pki.trust();
    await reloaded(before + 3);
    await until("a certificate of the CA before is refused", PATIENCE, async () => {
      using late = await join("late", old);
      return (await late.ended()).code === "CONTROLLER_UNAVAILABLE" ? true : undefined;
    });
    using last = await join("last", await pki.files("node", "last"));
    await last.inSync();
    for (const stream of [steady, byOld, byNew]) assert.equal(stream.end, undefined);
  });
});
