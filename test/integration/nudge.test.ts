/** On a real etcd: nudged keys keep value and etcd lease, take turns, and no agent hears of it. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { isJsonObject } from "../../common/config/json-fields.ts";
import { until } from "../../scripts/testbed/poll.ts";
import { ControllerProcess } from "../support/controller-process.ts";
import { type EtcdCluster, startEtcd } from "../support/etcd-server.ts";
import { SyncAgent } from "../support/sync-agent.ts";

const PREFIX = "/coreos.com/network";
const PATIENCE = { deadlineMs: 30_000 };

interface Key {
  readonly value: unknown;
  readonly lease: unknown;
  readonly created: unknown;
  readonly version: number;
}

/** Every key below subnets/, as etcd has it; its version counts the puts. */
async function keysOf(etcd: EtcdCluster): Promise<ReadonlyMap<string, Key>> {
  const text = await etcd.etcdctl("get", "-w", "json", "--prefix", `${PREFIX}/subnets/`);
  const answer: unknown = JSON.parse(text);
  const rows: unknown = isJsonObject(answer) ? answer["kvs"] : [];
  const found = new Map<string, Key>();
  for (const row of Array.isArray(rows) ? rows : []) {
    if (!isJsonObject(row)) continue;
    const { key, value, lease, create_revision: created, version } = row;
    found.set(String(key), { value, lease, created, version: Number(version) });
  }
  return found;
}

it("leases are put again as they are, one after the other", async () => {
  await using etcd = await startEtcd();
  await etcd.etcdctl("put", `${PREFIX}/config`, '{"Network":"10.5.0.0/16"}');
  const args = ["--nudge-interval", "1s"];
  await using controller = await ControllerProcess.start("ctl-1", { etcd: etcd.endpoints, args });
  await until("it serves", PATIENCE, async () => (await controller.status()).leader || undefined);
  const nodes = ["a", "b", "c"].map((name) => new SyncAgent(name, controller.address).hello());
  try {
    for (const [index, node] of nodes.entries()) await node.obtain(`10.99.0.${index + 1}`);
    for (const node of nodes)
      await node.until("all leases", () => node.table.size === 3 || undefined);
    const before = await keysOf(etcd);
    const heard = nodes.map((node) => node.of("delta").length);
    const after = await until("three rounds", PATIENCE, async () => {
      const now = await keysOf(etcd);
      const isDone = [...now].every(
        ([key, { version }]) => version >= (before.get(key)?.version ?? 0) + 3,
      );
      return isDone && now.size === 3 ? now : undefined;
    });
    for (const [key, { version, ...same }] of after) {
      const { version: earlier, ...was } = before.get(key) ?? { version: 0 };
      assert.ok(version > earlier);
      assert.deepEqual(same, was);
    }
    const versions = [...after.values()].map(({ version }) => version);
    assert.ok(Math.max(...versions) - Math.min(...versions) <= 3, `in turns: ${versions.join()}`);
    assert.deepEqual(
      nodes.map((node) => node.of("delta").length),
      heard,
    );
  } finally {
    for (const node of nodes) node.close();
  }
});
