/** The test bed itself: what the other tests take for granted about machines, cuts and cleaning up. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { Lab } from "../../scripts/testbed/lab.ts";
import { Pinger, pingOnce } from "../../scripts/testbed/pinger.ts";
import type { Pod } from "../../scripts/testbed/pods.ts";
import { until } from "../../scripts/testbed/poll.ts";
import { labsFolder } from "../../scripts/testbed/site.ts";
import { abandonedLabs, sweep } from "../../scripts/testbed/sweep.ts";
import { startLab } from "../support/lab.ts";

/** Machines whose pods reach each other by routes made by hand: no daemon of ours. */
async function handMade(lab: Lab): Promise<Pod[]> {
  for (const node of lab.nodes) {
    const { index } = node.id;
    const env = `FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.${index}.1/24\nFLANNEL_MTU=1500\nFLANNEL_IPMASQ=true\n`;
    await node.exec(["sh", "-c", "mkdir -p /run/flannel && cat > /run/flannel/subnet.env"], {
      input: env,
    });
    for (const peer of lab.nodes.filter((other) => other !== node)) {
      await node.exec(["ip", "route", "add", `10.244.${peer.id.index}.0/24`, "via", peer.id.ip]);
    }
    await lab.addPod(node);
  }
  return [...lab.pods];
}

describe("the test bed", () => {
  it("has machines with their own name, network, /run and /var/lib", async (t) => {
    const lab = await startLab(t, { nodes: 2, controllers: 1, run: [] });
    const [node1, node2] = lab.nodes;
    assert.ok(node1 && node2);
    assert.equal(await node1.exec(["hostname"]), "node1\n");
    await node1.exec([
      "sh",
      "-c",
      "mkdir /run/flannel /var/lib/twill; echo here > /var/lib/twill/x",
    ]);
    assert.equal(await node1.exec(["cat", "/var/lib/twill/x"]), "here\n");
    assert.equal((await node2.tryExec(["ls", "/run/flannel"])).code, 2);
    assert.equal((await node2.tryExec(["ls", "/var/lib/twill/x"])).code, 2);
    assert.ok(!existsSync("/var/lib/twill/x"));
    await node1.exec(["ping", "-c1", "-W1", node2.id.ip]);
    await node1.exec(["ping", "-c1", "-W1", node2.id.ip6]);
  });

  it("lets no packet out", async (t) => {
    const lab = await startLab(t, { nodes: 1, controllers: 0, run: [] });
    const reached = await lab.machine("node1").tryExec(["ping", "-c1", "-W1", "192.0.2.1"]);
    assert.notEqual(reached.code, 0);
  });

  it("runs real etcd, which etcdctl on its machine finds without options", async (t) => {
    const lab = await startLab(t, { nodes: 0, controllers: 0, etcdMembers: 3, run: ["etcd"] });
    const text = await lab.machine("etcd2").exec(["etcdctl", "get", "--prefix", "/"]);
    assert.match(text, /^\/coreos.com\/network\/config\n\{"Network":"10.244.0.0\/16"/);
    await lab.unit("etcd1").crash({ restart: false });
    await until("two of three elect a leader and write", { deadlineMs: 20_000 }, async () => {
      await lab.registry.put("/x", "two of three are a quorum");
      return true;
    });
    lab.unit("etcd1").start();
    await until("the third is back", { deadlineMs: 20_000 }, async () => {
      const health = await lab.registry.etcdctl(["endpoint", "health"]);
      return health.includes("unhealthy") ? undefined : true;
    });
  });

  it("cuts pairs of machines and counts what that costs", async (t) => {
    const lab = await startLab(t, { nodes: 3, controllers: 0, run: [] });
    const [pod1, pod2, pod3] = await handMade(lab);
    assert.ok(pod1 && pod2 && pod3);
    const [cut, whole] = [await Pinger.start(pod1, pod2), await Pinger.start(pod1, pod3)];
    await lab.underlay.cut(pod1.machine, pod2.machine);
    assert.equal(await pingOnce(pod1, pod2), false);
    await lab.underlay.heal(pod1.machine, pod2.machine);
    await cut.answered(10);
    const costs = await cut.stop();
    assert.ok(costs.lost >= 10 && costs.longestGapMs >= 500, JSON.stringify(costs));
    assert.equal((await whole.stop()).lost, 0);
  });

  it("loses a share of a machine's packets", async (t) => {
    const lab = await startLab(t, { nodes: 2, controllers: 0, run: [] });
    const [pod1, pod2] = await handMade(lab);
    assert.ok(pod1 && pod2);
    const pinger = await Pinger.start(pod1, pod2);
    await lab.underlay.lose(pod1.machine, 50);
    await pinger.answered(30);
    const report = await pinger.stop();
    assert.ok(report.lost > 10, JSON.stringify(report));
  });

  it("makes a machine's line slow", async (t) => {
    const lab = await startLab(t, { nodes: 2, controllers: 0, run: [] });
    const [node1, node2] = lab.nodes;
    assert.ok(node1 && node2);
    await lab.underlay.slow(node2, 200);
    // 20 packets of 1400 bytes take more than a second at 200 kbit/s.
    const flood = ["ping", "-c", "20", "-i", "0.01", "-s", "1372", node2.id.ip];
    const slowest = /= [0-9.]+\/[0-9.]+\/([0-9.]+)/.exec(await node1.exec(flood))?.[1];
    assert.ok(Number(slowest) > 300, slowest);
    await lab.underlay.slow(node2, undefined);
  });

  it("starts a killed process again, unless it was stopped on purpose", async (t) => {
    const lab = await startLab(t, { nodes: 0, controllers: 0, run: ["etcd"] });
    const etcd = lab.unit("etcd1");
    const first = etcd.pid;
    await etcd.crash({ restart: true });
    await until("etcd runs again", { deadlineMs: 5_000 }, () => etcd.pid);
    assert.notEqual(etcd.pid, first);
    await etcd.stop();
    assert.equal(etcd.state, "stopped");
    assert.equal(etcd.starts, 2);
  });

  it("leaves no namespace, process, mount or file behind", async () => {
    const name = `t${process.pid}down`;
    const lab = await Lab.start({ name, nodes: 1, controllers: 0, etcdMembers: 1, run: ["etcd"] });
    const pid = lab.unit("etcd1").pid;
    await lab[Symbol.asyncDispose]();
    assertGone(name);
    assert.ok(pid !== undefined && !existsSync(`/proc/${pid}`));
  });

  it("removes what a killed lab left behind", async () => {
    const name = `t${process.pid}crash`;
    const module = fileURLToPath(new URL("../../scripts/testbed/lab.js", import.meta.url));
    const script = `
      const { Lab } = await import(${JSON.stringify(module)});
      await Lab.start({ name: "${name}", nodes: 1, controllers: 0, etcdMembers: 1, run: ["etcd"] });
      process.kill(process.pid, "SIGKILL");`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", script]);
    await new Promise((resolve) => child.once("close", resolve));
    assert.ok(abandonedLabs().includes(name));
    assert.equal(await sweep(name), true);
    assertGone(name);
  });
});

function assertGone(name: string): void {
  const namespaces = readdirSync("/run/netns").filter((entry) => entry.startsWith(`twl-${name}-`));
  assert.deepEqual(namespaces, []);
  assert.ok(!existsSync(`${labsFolder()}/${name}`));
}
