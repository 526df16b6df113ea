/**
 * Every backend end to end on real kernels: pods reach each other with their own addresses,
 * peers are where the contract (section 3) puts them, and a node may change its address.
 */
import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import type { Lab, LabOptions } from "../../scripts/testbed/lab.ts";
import type { Machine } from "../../scripts/testbed/machine.ts";
import { addPodByList, type Pod } from "../../scripts/testbed/pods.ts";
import { until } from "../../scripts/testbed/poll.ts";
import { CONFIG_KEY } from "../../scripts/testbed/registry.ts";
import { GATEWAY } from "../../scripts/testbed/topology.ts";
import { startLab } from "../support/lab.ts";
import { withoutLoss } from "../support/lab-checks.ts";

const V4 = { Network: "10.244.0.0/16" };
const DUAL = { ...V4, EnableIPv6: true, IPv6Network: "fd44::/48" };
const V6 = { EnableIPv4: false, EnableIPv6: true, IPv6Network: "fd44::/48" };
const SOON = { deadlineMs: 30_000, everyMs: 50 };

async function twoNodes(
  t: TestContext,
  config: Readonly<Record<string, unknown>>,
  more: Partial<LabOptions> = {},
): Promise<{ lab: Lab; a: Machine; b: Machine }> {
  const agentOptions = ["--cni-conf-dir", "/run/cni"];
  const base = { nodes: 2, controllers: 1, config: JSON.stringify(config), agentOptions };
  const options = { ...base, ...more };
  const lab = await startLab(t, options);
  await Promise.all(lab.nodes.map((node) => lab.addPod(node)));
  const [a, b] = lab.nodes;
  assert.ok(a && b);
  return { lab, a, b };
}

/** Every address of every pod answers the other pod. */
async function podsTalk(lab: Lab): Promise<void> {
  for (const from of lab.pods) {
    for (const to of lab.pods.filter((pod) => pod !== from)) {
      for (const ip of to.ips) await answers(from, ip);
    }
  }
}

async function answers(from: Pod, ip: string): Promise<void> {
  await until(`${ip} answers ${from.ip}`, SOON, async () => {
    const argv = ["ping", "-n", "-c", "1", "-W", "1", ip];
    const { code } = await from.machine.tryExecInPod(from.name, argv);
    return code === 0 ? true : undefined;
  });
}

/** A pod that joins by the agent's CNI list reaches one that joined by subnet.env, in each family. */
async function listWorks(lab: Lab, node: Machine): Promise<void> {
  const list = node.readRunFile("cni/10-twill.conflist") ?? "";
  const pod = await addPodByList({ machine: node, pod: "bylist", list });
  const far = lab.pods.find(({ machine }) => machine !== node);
  assert.equal(pod.ips.length, far?.ips.length);
  for (const ip of far?.ips ?? []) await answers(pod, ip);
}

function routes(node: Machine, ...more: readonly string[]): Promise<string> {
  return node.exec(["ip", ...more, "route", "show"]);
}

describe("backends end to end", () => {
  it("host-gw routes by the peers' own addresses, and a wrong route is made right", async (t) => {
    const { lab, a, b } = await twoNodes(t, { ...V4, Backend: { Type: "host-gw" } });
    await podsTalk(lab);
    const subnet = (await lab.leaseOf(b)).subnet;
    const right = new RegExp(`^${subnet} via ${b.id.ip} dev eth0`, "m");
    assert.match(await routes(a), right);
    await a.exec(["ip", "route", "replace", subnet, "via", "10.99.0.254", "dev", "eth0"]);
    await until("the route is right again", SOON, async () =>
      right.test(await routes(a)) ? true : undefined,
    );
  });

  it("vxlan with DirectRouting goes to the tunnel and back as the underlay changes, by itself", async (t) => {
    const Backend = { Type: "vxlan", DirectRouting: true };
    const { lab, a, b } = await twoNodes(t, { ...V4, Backend });
    await podsTalk(lab);
    const { subnet } = await lab.leaseOf(b);
    const routedBy = (device: string) =>
      until(`${subnet} is routed by ${device}`, SOON, async () =>
        new RegExp(`^${subnet} via .* dev ${device}`, "m").test(await routes(a)) ? true : undefined,
      );
    await routedBy("eth0");
    assert.equal((await a.exec(["ip", "neigh", "show", "dev", "flannel.1"])).trim(), "");
    await lab.underlay.routeBetween();
    // Nobody is there to ask: what the tunnel needs is known to the agent.
    await lab.unit("controller1").stop();
    await withoutLoss(lab, async () => {
      const behindRouter = [b.id.ip, "via", GATEWAY, "dev", "eth0"];
      await a.exec(["ip", "route", "add", ...behindRouter]);
      await routedBy("flannel.1");
      await a.exec(["ip", "route", "del", ...behindRouter]);
      await routedBy("eth0");
    });
    await until("the tunnel's entries are gone again", SOON, async () =>
      (await a.exec(["bridge", "fdb", "show", "dev", "flannel.1"])).includes(b.id.ip)
        ? undefined
        : true,
    );
  });

  it("a node's new address is advertised and programmed without a restart", async (t) => {
    const config = { ...V4, Backend: { Type: "vxlan" } };
    // The lab's certificates name each machine's first address.
    const { lab, a, b } = await twoNodes(t, config, { insecure: true });
    await podsTalk(lab);
    const key = (await lab.leaseOf(b)).subnet;
    const moved = "10.99.77.7";
    const [, length = "16"] =
      /inet [0-9.]+\/([0-9]+)/.exec(await b.exec(["ip", "address", "show", "dev", "eth0"])) ?? [];
    const [, gateway = ""] = /^default via ([0-9.]+)/m.exec(await routes(b)) ?? [];
    // As DHCP does it. The default route goes with the address it stands on.
    await b.exec(["ip", "address", "del", `${b.id.ip}/${length}`, "dev", "eth0"]);
    await b.exec(["ip", "address", "add", `${moved}/${length}`, "dev", "eth0"]);
    await b.exec(["ip", "route", "add", "default", "via", gateway, "dev", "eth0"]);
    await until("the peer sends to the new address", SOON, async () => {
      const fdb = await a.exec(["bridge", "fdb", "show", "dev", "flannel.1"]);
      return fdb.includes(`dst ${moved} `) ? true : undefined;
    });
    const lease = (await lab.registry.leases()).find(({ publicIp }) => publicIp === moved);
    assert.equal(lease?.subnet, key, "the subnet stays");
    await podsTalk(lab);
  });

  it("vxlan with both families: own devices, own MTUs, both pings", async (t) => {
    const { lab, a } = await twoNodes(t, { ...DUAL, Backend: { Type: "vxlan" } });
    assert.ok(lab.pods.every(({ ips }) => ips.length === 2));
    await podsTalk(lab);
    assert.match(await a.exec(["ip", "link", "show", "flannel.1"]), / mtu 1450 /);
    assert.match(await a.exec(["ip", "link", "show", "flannel-v6.1"]), / mtu 1430 /);
    // Containers have one MTU for both families: the smaller.
    assert.match(a.readRunFile("flannel/subnet.env") ?? "", /^FLANNEL_MTU=1430$/m);
    await listWorks(lab, a);
    const inPod = ["cat", "/sys/class/net/eth0/mtu"];
    assert.equal((await a.execInPod("bylist", inPod)).trim(), "1430");
  });

  it("host-gw with IPv6 alone tells nodes apart by their IPv6 addresses", async (t) => {
    const { lab, a } = await twoNodes(t, { ...V6, Backend: { Type: "host-gw" } });
    await podsTalk(lab);
    assert.match(await routes(a, "-6"), /^fd44:.*\/64 via .* dev eth0/m);
    const leases = await lab.registry.list("/coreos.com/network/subnets/");
    assert.equal(new Set(leases.map(({ value }) => value)).size, 2);
    await listWorks(lab, a);
  });

  it("extension runs the operator's commands, and alloc after it leaves nothing", async (t) => {
    const Backend = {
      Type: "extension",
      PreStartupCommand: "cat /proc/sys/kernel/ostype",
      SubnetAddCommand: "ip route replace $SUBNET via $PUBLIC_IP",
      SubnetRemoveCommand: "ip route del $SUBNET",
    };
    const { lab, a, b } = await twoNodes(t, { ...V4, Backend });
    const { entry, subnet } = await lab.leaseOf(b);
    assert.equal(
      entry.value,
      `{"PublicIP":"${b.id.ip}","PublicIPv6":null,"BackendType":"extension","BackendData":"Linux"}`,
    );
    await podsTalk(lab);
    assert.match(await routes(a), new RegExp(`^${subnet} via ${b.id.ip} dev eth0`, "m"));
    await lab.registry.put(CONFIG_KEY, JSON.stringify({ ...V4, Backend: { Type: "alloc" } }));
    await until("the route is gone", SOON, async () =>
      (await routes(a)).includes(`${subnet} via`) ? undefined : true,
    );
  });
});
