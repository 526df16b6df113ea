/**
 * flannel's "multi" scenario (contract section 6): two networks on the same machines, each with
 * a prefix, controllers and agents of its own. Neither sees or touches what the other has.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import type { Lab } from "../../scripts/testbed/lab.ts";
import type { Machine } from "../../scripts/testbed/machine.ts";
import { until } from "../../scripts/testbed/poll.ts";
import { Unit } from "../../scripts/testbed/unit.ts";
import { startLab } from "../support/lab.ts";

const SOON = { deadlineMs: 30_000, everyMs: 100 };
const main = (program: string): string =>
  fileURLToPath(new URL(`../../${program}/main.js`, import.meta.url));
const ETCD = "http://10.99.2.1:2379";

/** The packet filter is looked at every second. */
const RULES = ["--ip-masq", "--iptables-resync", "1"];

interface Network {
  readonly name: string;
  readonly port: number;
  readonly cidr: string;
  readonly backend: object;
}

const VXLAN: Network = {
  name: "vxlan",
  port: 7480,
  cidr: "10.11.0.0/16",
  backend: { Type: "vxlan" },
};
const HOSTGW: Network = {
  name: "hostgw",
  port: 7490,
  cidr: "10.12.0.0/16",
  backend: { Type: "host-gw" },
};

function putConfig(lab: Lab, { name, cidr }: Network, backend: object): Promise<void> {
  const config = { Network: cidr, Backend: backend };
  return lab.registry.put(`/${name}/network/config`, JSON.stringify(config));
}

/** One set of daemons per network, all on the same machines. */
async function startNetwork(lab: Lab, network: Network): Promise<Unit[]> {
  const { name, port } = network;
  await putConfig(lab, network, network.backend);
  const controller = lab.machine("controller1");
  const address = `${controller.id.ip}:${port}`;
  const prefix = ["--etcd-endpoints", ETCD, "--etcd-prefix", `/${name}/network`];
  const listen = ["--listen", address, "--advertise-address", address, "--insecure"];
  const unit = (machine: Machine, argv: readonly string[]): Unit => {
    const log = join(lab.site.folder, `${name}-${machine.name}.log`);
    const one = new Unit(machine, { name, argv: [process.execPath, ...argv] }, log);
    one.start();
    return one;
  };
  return [
    unit(controller, [main("controller"), "--name", `${name}1`, ...prefix, ...listen]),
    ...lab.nodes.map((node) => unit(node, agentArgv(network, "run", address))),
  ];
}

function agentArgv({ name }: Network, command: "run" | "cleanup", address: string): string[] {
  const files = ["--subnet-file", `/run/${name}.env`, "--state-dir", `/var/lib/twill-${name}`];
  return [main("agent"), command, "--controllers", address, "--insecure", ...RULES, ...files];
}

/** As upstream does it: the subnet's first address on a device of its own. */
async function addHost(node: Machine, { name }: Network): Promise<string> {
  const env = await until(`${node.name} has its ${name} subnet`, SOON, () =>
    node.readRunFile(`${name}.env`),
  );
  const subnet = /^FLANNEL_SUBNET=(.*)$/m.exec(env)?.[1] ?? "";
  await node.exec(["ip", "link", "add", `net-${name}`, "up", "type", "bridge"]);
  await node.exec(["ip", "address", "add", subnet, "dev", `net-${name}`]);
  return subnet.replace(/\/.*/, "");
}

async function pings(node: Machine, from: string, to: string): Promise<boolean> {
  const argv = ["ping", "-n", "-c", "1", "-W", "1", "-I", from, to];
  return (await node.tryExec(argv)).code === 0;
}

/** Both ways, each with its own address. */
async function talk(lab: Lab, [a, b]: readonly string[]): Promise<void> {
  const [one, two] = lab.nodes;
  assert.ok(one && two && a !== undefined && b !== undefined);
  for (const [node, from, to] of [
    [one, a, b],
    [two, b, a],
  ] as const) {
    await until(`${to} answers ${from}`, SOON, async () =>
      (await pings(node, from, to)) ? true : undefined,
    );
  }
}

async function rulesOf(node: Machine, { cidr }: Network): Promise<number> {
  const rules = await node.exec(["iptables-save"]);
  return rules.split("\n").filter((line) => line.includes(cidr)).length;
}

describe("two networks on the same machines", () => {
  it("live side by side, change and go without a word from each other", async (t) => {
    const lab = await startLab(t, { nodes: 2, controllers: 1, run: ["etcd"], insecure: true });
    const [one] = lab.nodes;
    assert.ok(one);
    const units = new Map<string, Unit[]>();
    t.after(async () => {
      for (const unit of [...units.values()].flat()) await unit.crash({ restart: false });
    });
    for (const network of [VXLAN, HOSTGW]) {
      units.set(network.name, await startNetwork(lab, network));
    }
    const hasLink = async (name: string): Promise<true | undefined> =>
      (await one.tryExec(["ip", "link", "show", name])).code === 0 ? true : undefined;
    const logOf = async ({ name }: Network): Promise<string> =>
      (await units.get(name)?.[1]?.log()) ?? "";
    const hosts = async (network: Network): Promise<readonly string[]> =>
      Promise.all(lab.nodes.map((node) => addHost(node, network)));
    const [vxlan, hostgw] = [await hosts(VXLAN), await hosts(HOSTGW)];

    await t.test("both carry packets, neither those of the other", async () => {
      await talk(lab, vxlan);
      await talk(lab, hostgw);
      assert.equal(await pings(one, "flannel.1", hostgw[1] ?? ""), false);
      assert.equal(await pings(one, "eth0", vxlan[1] ?? ""), false);
    });

    await t.test("both have their packet-filter rules, and leave each other's alone", async () => {
      for (const network of [VXLAN, HOSTGW]) assert.equal(await rulesOf(one, network), 7);
      const rules = async (): Promise<readonly string[]> =>
        (await one.exec(["iptables-save"])).split("\n").filter((line) => /^-A/.test(line));
      const before = (await rules()).toSorted();
      const mine = ["FLANNEL-FWD", "-s", VXLAN.cidr, "-m", "comment", "--comment"];
      await one.exec(["iptables", "-D", ...mine, "flanneld forward", "-j", "ACCEPT"]);
      await until("the rule is back", SOON, async () =>
        (await rules()).length === before.length ? true : undefined,
      );
      assert.deepEqual((await rules()).toSorted(), before);
      // In the kernel it is a moment earlier than in the log.
      await until("the repair is told", SOON, async () =>
        /"drift\.repaired"/.test(await logOf(VXLAN)) ? true : undefined,
      );
      assert.doesNotMatch(await logOf(HOSTGW), /"drift\.repaired"/);
    });

    await t.test("the second becomes a tunnel of another VNI beside the first", async () => {
      await putConfig(lab, HOSTGW, { Type: "vxlan", VNI: 2 });
      await until("flannel.2 is there", SOON, () => hasLink("flannel.2"));
      await talk(lab, hostgw);
      await talk(lab, vxlan);
    });

    await t.test("both become udp, each with a device and a port of its own", async () => {
      await putConfig(lab, VXLAN, { Type: "udp", Port: 8285 });
      await until("flannel0 is there", SOON, () => hasLink("flannel0"));
      await talk(lab, vxlan);
      await putConfig(lab, HOSTGW, { Type: "udp", Port: 8286 });
      await until("flannel1 is there", SOON, () => hasLink("flannel1"));
      await talk(lab, hostgw);
      await talk(lab, vxlan);
    });

    await t.test("cleanup of one leaves the other as it is", async () => {
      const [, agent] = units.get(HOSTGW.name) ?? [];
      await agent?.stop();
      await one.exec([process.execPath, ...agentArgv(HOSTGW, "cleanup", "127.0.0.1:1")]);
      assert.equal(await hasLink("flannel1"), undefined);
      assert.equal(await hasLink("flannel0"), true);
      assert.equal(await rulesOf(one, HOSTGW), 0);
      assert.equal(await rulesOf(one, VXLAN), 7);
      await talk(lab, vxlan);
      // The rule that was deleted by hand, and nothing since.
      assert.equal((await logOf(VXLAN)).split('"drift.repaired"').length, 2);
    });
  });
});
