/** The etcd that tests and labs run on does what its name says. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { startEtcd } from "../../support/etcd-server.ts";

describe("an etcd for tests", () => {
  it("keeps its data over a crash and comes back on the same port", async () => {
    await using etcd = await startEtcd();
    await etcd.etcdctl("put", "/k", "v");
    await etcd.first.kill();
    assert.equal(etcd.first.running, false);
    await etcd.first.start();
    assert.equal(await etcd.etcdctl("get", "/k", "--print-value-only"), "v\n");
  });

  it("forms a cluster of three that works on without its leader, dead or frozen", async () => {
    await using etcd = await startEtcd({ members: 3 });
    const first = await etcd.leader();
    await first.kill();
    const second = await untilLeader(etcd, first.name);
    await first.start();
    second.freeze();
    const third = await untilLeader(etcd, second.name);
    second.thaw();
    assert.notEqual(third.name, second.name);
  });
});

async function untilLeader(
  etcd: Awaited<ReturnType<typeof startEtcd>>,
  not: string,
): ReturnType<typeof etcd.leader> {
  for (let attempt = 0; attempt < 50; attempt += 1) {
    const leader = await etcd.leader().catch(() => undefined);
    if (leader !== undefined && leader.name !== not) return leader;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`still no leader but ${not}`);
}
