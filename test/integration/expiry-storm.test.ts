/**
 * A real etcd ends many leases at once: agents keep what they have until the end is confirmed,
 * connected nodes get theirs back without anybody hearing of it, and newcomers see one table.
 */
import assert from "node:assert/strict";
import { it } from "node:test";
import { until } from "../../scripts/testbed/poll.ts";
import { ControllerProcess } from "../support/controller-process.ts";
import { type EtcdCluster, startEtcd } from "../support/etcd-server.ts";
import { leaseValue } from "../support/lease-texts.ts";
import { SyncAgent } from "../support/sync-agent.ts";

const PREFIX = "/coreos.com/network";
const PATIENCE = { deadlineMs: 30_000 };
const FOREIGN = 12;

/** As real flannel nodes leave them: each on an etcd lease of its own. */
async function plantLease(etcd: EtcdCluster, n: number): Promise<string> {
  const granted = await etcd.etcdctl("lease", "grant", "600");
  const id = granted.split(" ")[1] ?? "";
  const key = `${PREFIX}/subnets/10.5.${100 + n}.0-24`;
  await etcd.etcdctl("put", "--lease", id, key, leaseValue(`10.99.100.${n}`));
  return id;
}

it("an expiry storm is held back until etcd has confirmed it", async () => {
  await using etcd = await startEtcd();
  await etcd.etcdctl("put", `${PREFIX}/config`, '{"Network":"10.5.0.0/16"}');
  await using controller = await ControllerProcess.start("ctl-1", { etcd: etcd.endpoints });
  await until("it serves", PATIENCE, async () => (await controller.status()).leader || undefined);
  using node = new SyncAgent("a", controller.address).hello();
  const own = await node.obtain("10.99.0.1");
  const ids = await Promise.all(Array.from({ length: FOREIGN }, (_, n) => plantLease(etcd, n)));
  await node.until("all leases", () => node.table.size === FOREIGN + 1 || undefined);
  const row = (await controller.status()).leases.find(({ lease }) => lease?.key === own);
  // Ended in one go, as etcd ends what nobody keeps alive; a live node's among them.
  await Promise.all(
    [...ids, row?.etcdLease ?? ""].map((id) => etcd.etcdctl("lease", "revoke", id)),
  );
  const held = await until("it is held", PATIENCE, () => controller.events("withdrawals.held")[0]);
  assert.match(String(held["message"]), /nodes keep their routes/);
  using newcomer = new SyncAgent("b", controller.address).hello();
  await newcomer.inSync();
  await until("it has passed", PATIENCE, () => controller.events("withdrawals.passed")[0]);
  for (const agent of [node, newcomer]) {
    await agent.until("only the live node's lease", () => agent.table.size === 1 || undefined);
    assert.equal(agent.table.get(own)?.node, "a");
    assert.equal(agent.end, undefined);
  }
  assert.deepEqual(controller.events("table.diverged"), []);
  const { warnings } = await controller.status();
  assert.deepEqual(
    warnings.map(({ code }) => code).filter((code) => code === "WITHDRAWALS_HELD"),
    [],
  );
});
