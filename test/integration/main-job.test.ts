/**
 * The main job on real parts: real etcd, controllers and agents in namespaces. What etcd and
 * the kernels hold is what real flannel would have put there; what is killed comes back by
 * itself, and no packet between pods is lost meanwhile.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DEFAULT_CONFIG, type Lab } from "../../scripts/testbed/lab.ts";
import { pingOnce } from "../../scripts/testbed/pinger.ts";
import { until } from "../../scripts/testbed/poll.ts";
import { CONFIG_KEY, ELECTION, PREFIX } from "../../scripts/testbed/registry.ts";
import type { Unit } from "../../scripts/testbed/unit.ts";
import { assertGolden } from "../support/golden.ts";
import { startLab } from "../support/lab.ts";
import {
  changesArrive,
  deleteLease,
  overlayText,
  putForeignLease,
  routedEverywhere,
  waitReady,
  withoutLoss,
  withPods,
} from "../support/lab-checks.ts";

const DAY_SECONDS = 86_400;
/** Everything Twill or an operator puts below the prefix (design section 3). */
const KNOWN_KEYS =
  /^\/coreos\.com\/network\/(config|subnets\/10\.244\.[0-9]+\.0-24|twill\/(election\/[0-9a-f]+|nodes\/node[0-9]+|journal\/.+))$/;

async function leaderOf(lab: Lab): Promise<Unit> {
  return until("a controller leads", { deadlineMs: 30_000 }, () => lab.leader());
}

describe("three nodes, three controllers and etcd", () => {
  it("are one flat network, in flannel's layout, and stay so whatever is killed", async (t) => {
    const lab = await startLab(t);
    await withPods(lab);

    await t.test("every pod reaches every pod", async () => {
      for (const from of lab.pods) {
        for (const to of lab.pods.filter((pod) => pod !== from)) {
          assert.ok(await pingOnce(from, to), `${from.machine.name} to ${to.machine.name}`);
        }
      }
    });

    await t.test("etcd holds flannel's keys and values and nothing unknown", async () => {
      const entries = await lab.registry.list(`${PREFIX}/`);
      const unknown = entries.map((entry) => entry.key).filter((key) => !KNOWN_KEYS.test(key));
      assert.deepEqual(unknown, []);
      const leases = await lab.registry.leases();
      assert.equal(leases.length, 3);
      assert.equal(new Set(leases.map((lease) => lease.subnet)).size, 3);
      for (const node of lab.nodes) {
        const link = await node.exec(["cat", "/sys/class/net/flannel.1/address"]);
        const lease = leases.find((one) => one.publicIp === node.id.ip);
        const data = `"BackendData":{"VNI":1,"VtepMAC":"${link.trim()}"}`;
        const wanted = `{"PublicIP":"${node.id.ip}","PublicIPv6":null,"BackendType":"vxlan",${data}}`;
        assert.equal(lease?.entry.value, wanted);
      }
    });

    await t.test("each lease has an etcd lease of a day", async () => {
      for (const lease of await lab.registry.leases()) {
        const ttl = await lab.registry.timeToLive(lease.entry.etcdLease);
        // The controller may spread expiry a little; flannel's is a day.
        assert.ok(ttl !== undefined && Math.abs(ttl.granted - DAY_SECONDS) < 3600, lease.subnet);
        assert.ok(ttl.left > ttl.granted - 600, JSON.stringify(ttl));
      }
    });

    await t.test("the leader stands in etcd's own election layout", async () => {
      const unit = await leaderOf(lab);
      const [entry] = await lab.registry.list(`${ELECTION}/`);
      assert.match(entry?.key.slice(ELECTION.length + 1) ?? "", /^[0-9a-f]+$/);
      assert.ok(entry?.value.includes(unit.machine.id.ip), entry?.value);
    });

    await t.test("kernels hold what the contract shows of real flannel", async () => {
      for (const node of lab.nodes) {
        assertGolden(`main-job/${node.name}.txt`, await overlayText(lab, node));
      }
    });

    await t.test("a bad config does no harm, and the last good one stays in force", async () => {
      await withoutLoss(lab, async () => {
        for (const bad of [
          "not json",
          '{"Network":"10.244.0.0/33"}',
          '{"Network":"10.9.0.0/30"}',
          " ",
        ]) {
          await lab.registry.put(CONFIG_KEY, bad);
        }
        const node = await lab.addNode();
        await lab.leaseOf(node);
        await lab.waitConverged();
        await lab.removeNode(node.name);
        await lab.waitConverged();
        await lab.registry.put(CONFIG_KEY, DEFAULT_CONFIG);
      });
      const log = await (await leaderOf(lab)).log();
      assert.match(log, /config\.rejected/);
    });

    await t.test("keys that are no leases harm nobody", async () => {
      const wrong = `${PREFIX}/subnets/10.244.77.0-24`;
      await withoutLoss(lab, async () => {
        await lab.registry.put(wrong, "not json");
        await lab.registry.put(`${PREFIX}/subnets/nonsense`, "{}");
        const subnet = await putForeignLease(lab, 201);
        await routedEverywhere(lab, subnet, true);
        await deleteLease(lab, subnet);
        await routedEverywhere(lab, subnet, false);
      });
      await lab.registry.etcdctl(["del", "--prefix", `${PREFIX}/subnets/nonsense`]);
      await lab.registry.etcdctl(["del", wrong]);
    });

    await t.test("the leader is killed: another one allocates", async () => {
      await withoutLoss(lab, async () => {
        const old = await leaderOf(lab);
        await old.crash({ restart: true });
        const node = await lab.addNode();
        await lab.leaseOf(node);
        await lab.waitConverged();
        await lab.removeNode(node.name);
        await changesArrive(lab);
        await waitReady(old.machine);
      });
    });

    await t.test("all controllers are killed at once and come back", async () => {
      await withoutLoss(lab, async () => {
        const controllers = lab.units.filter((unit) => unit.machine.id.role === "controller");
        await Promise.all(controllers.map((unit) => unit.crash({ restart: true })));
        await changesArrive(lab);
        for (const unit of controllers) await waitReady(unit.machine);
      });
    });

    await t.test("etcd is killed and comes back", async () => {
      const before = await lab.registry.leases();
      await withoutLoss(lab, async () => {
        await lab.unit("etcd1").crash({ restart: true });
        await until("etcd answers", { deadlineMs: 20_000 }, () => lab.registry.leases());
        await changesArrive(lab);
      });
      const after = await lab.registry.leases();
      assert.deepEqual(
        after.map((lease) => lease.entry.value),
        before.map((lease) => lease.entry.value),
      );
    });

    await t.test("an agent is killed and comes back to the same kernel", async () => {
      const [node] = lab.nodes;
      assert.ok(node);
      const before = await overlayText(lab, node);
      await withoutLoss(lab, async () => {
        await lab.unit(node.name).crash({ restart: true });
        await waitReady(node);
        await changesArrive(lab);
      });
      assert.equal(await overlayText(lab, node), before);
    });

    await t.test("an agent that is stopped leaves its node working", async () => {
      const [node] = lab.nodes;
      assert.ok(node);
      const before = await overlayText(lab, node);
      await withoutLoss(lab, async () => {
        await lab.unit(node.name).stop();
        assert.equal(await overlayText(lab, node), before);
        lab.unit(node.name).start();
        await waitReady(node);
      });
    });
  });
});
