/**
 * From flannel to Twill and back, node by node, with a ping every 10 ms between all pods: what
 * docs/migrate-from-flannel.md promises. flanneld's part is played by its own commands.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Machine } from "../../scripts/testbed/machine.ts";
import { until } from "../../scripts/testbed/poll.ts";
import { becomeFlannel, type FlannelNode } from "../support/flannel-node.ts";
import { startLab } from "../support/lab.ts";
import { changesArrive, waitReady, withoutLoss } from "../support/lab-checks.ts";

const SOON = { deadlineMs: 30_000 };
const OPERATOR = ["twillctl", "takeover"];

describe("a flannel network", () => {
  for (const backend of ["vxlan", "host-gw"] as const) {
    it(`of ${backend} changes to Twill and back without a lost packet`, async (t) => {
      const config = `{"Network":"10.244.0.0/16","Backend":{"Type":"${backend}"}}`;
      const lab = await startLab(t, {
        ...{ nodes: 2, controllers: 1, config },
        agentOptions: ["--ip-masq"],
      });
      const nodes = await becomeFlannel(lab, backend);
      for (const { machine } of nodes) await lab.addPod(machine);
      const indices = await Promise.all(nodes.map((node) => node.deviceIndex()));
      const [first] = nodes;
      assert.ok(first !== undefined);
      if (backend === "vxlan") await checked(first);

      await withoutLoss(lab, async () => {
        for (const node of nodes) {
          lab.unit(node.machine.name).start();
          await waitReady(node.machine);
          await isAsBefore(lab, node);
        }
        // The foreign lease that it puts is one of vxlan.
        if (backend === "vxlan") await changesArrive(lab);
        // The way back: the agent stops, flanneld takes its lease and its device again.
        for (const node of nodes) {
          await lab.unit(node.machine.name).stop();
          await node.putKey();
          await node.meet(nodes);
          await isAsBefore(lab, node);
        }
      });
      assert.deepEqual(await Promise.all(nodes.map((node) => node.deviceIndex())), indices);
    });
  }
});

/** Same subnet for the containers, same key and value for flannel's nodes. */
async function isAsBefore(
  lab: Awaited<ReturnType<typeof startLab>>,
  node: FlannelNode,
): Promise<void> {
  const env = node.machine.readRunFile("flannel/subnet.env") ?? "";
  assert.ok(env.includes(`\n${node.subnetLine}\n`), env);
  const lease = (await lab.registry.leases()).find(({ entry }) => entry.key === node.key);
  assert.equal(lease?.entry.value, node.value);
  assert.notEqual(lease.entry.etcdLease, "0");
}

/** `twillctl takeover` beside a program that runs under flanneld's name with its options. */
async function checked({ machine }: FlannelNode): Promise<void> {
  const options = ["-iface=eth0", "-ip-masq", "--etcd-endpoints=http://10.0.0.1:2379"];
  const file = "#!/bin/sh\\nwhile sleep 1; do :; done\\n";
  const script = `printf '${file}' > /run/flanneld; chmod +x /run/flanneld
    /run/flanneld "$@" >/dev/null 2>&1 </dev/null & echo $!`;
  const pid = (await machine.exec(["sh", "-c", script, "sh", ...options])).trim();
  try {
    await checkedBeside(machine);
  } finally {
    await machine.tryExec(["kill", pid]);
  }
}

async function checkedBeside(machine: Machine): Promise<void> {
  await until("the stand-in runs", SOON, async () =>
    (await machine.exec([...OPERATOR, "plan"])).includes("TWILL_IFACE=eth0") ? true : undefined,
  );
  const plan = await machine.exec([...OPERATOR, "plan"]);
  assert.match(plan, /^echo 'TWILL_IP_MASQ=true' >> \/etc\/twill\/agent\.env$/m);
  assert.match(plan, /^# {6}--etcd-endpoints http:\/\/10\.0\.0\.1:2379$/m);
  assert.equal(await machine.exec([...OPERATOR, "check"]), "none\n");
  await machine.exec(["mv", "/run/flannel/subnet.env", "/run/flannel/away"]);
  const { code, stdout } = await machine.tryExec([...OPERATOR, "check"]);
  assert.equal(code, 3);
  assert.match(stdout, /^stop +SUBNET_ENV_MISSING /m);
  await machine.exec(["mv", "/run/flannel/away", "/run/flannel/subnet.env"]);
}
