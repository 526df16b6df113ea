/**
 * Runs in the guest (test/guest/backends.test.ts starts it there): labs on a kernel that has
 * ipip and wireguard. Every result is one line of JSON; what it means is judged outside.
 */
import { Lab } from "../../../scripts/testbed/lab.ts";
import type { Machine } from "../../../scripts/testbed/machine.ts";
import { Pinger, pingOnce } from "../../../scripts/testbed/pinger.ts";
import type { Pod } from "../../../scripts/testbed/pods.ts";
import { until } from "../../../scripts/testbed/poll.ts";

interface Scenario {
  readonly name: string;
  readonly config: object;
  /** The device that the backend makes on every node. */
  readonly devices: readonly string[];
  /** A variant of another scenario: what is the same there is not played again. */
  readonly isVariant: boolean;
}

const V4 = { Network: "10.244.0.0/16" };
const DUAL = { ...V4, EnableIPv6: true, IPv6Network: "fd50::/48" };
const PSK = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

const SCENARIOS: readonly Scenario[] = [
  {
    name: "ipip",
    config: { ...V4, Backend: { Type: "ipip" } },
    devices: ["flannel.ipip"],
    isVariant: false,
  },
  {
    name: "ipip-direct",
    config: { ...V4, Backend: { Type: "ipip", DirectRouting: true } },
    devices: ["flannel.ipip"],
    isVariant: true,
  },
  {
    name: "wireguard",
    config: { ...V4, Backend: { Type: "wireguard", PSK, PersistentKeepaliveInterval: 25 } },
    devices: ["flannel-wg"],
    isVariant: false,
  },
  {
    name: "wireguard-dual",
    config: { ...DUAL, Backend: { Type: "wireguard" } },
    devices: ["flannel-wg", "flannel-wg-v6"],
    isVariant: true,
  },
];

type Check = (bed: Bed) => Promise<string>;

interface Bed {
  readonly lab: Lab;
  readonly scenario: Scenario;
}

/** What each check finds is told; a check that throws has failed. */
const CHECKS: Readonly<Record<string, Check>> = {
  pods: pingsOfPods,
  hosts: pingsOfHosts,
  kernel: kernelText,
};

const MORE_CHECKS: Readonly<Record<string, Check>> = {
  restart: restartWithoutLoss,
  drift: driftRepaired,
  iperf: throughput,
};

for (const scenario of SCENARIOS) await play(scenario);

async function play(scenario: Scenario): Promise<void> {
  try {
    await using lab = await Lab.start({
      name: "guest",
      nodes: 2,
      controllers: 1,
      etcdMembers: 1,
      config: JSON.stringify(scenario.config),
    });
    for (const node of lab.nodes) await lab.addPod(node);
    await lab.waitConverged();
    const checks = scenario.isVariant ? CHECKS : { ...CHECKS, ...MORE_CHECKS };
    for (const [name, check] of Object.entries(checks)) {
      await tell(`${scenario.name} ${name}`, () => check({ lab, scenario }));
    }
  } catch (error) {
    await tell(`${scenario.name} lab`, async () => {
      throw error;
    });
  }
}

async function tell(name: string, check: () => Promise<string>): Promise<void> {
  const result = await check().then(
    (found) => ({ name, ok: true, found }),
    (error: unknown) => ({ name, ok: false, found: String(error) }),
  );
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

function both(lab: Lab): readonly (readonly [Pod, Pod])[] {
  const [a, b] = lab.pods;
  if (a === undefined || b === undefined) throw new Error("two pods are wanted");
  return [
    [a, b],
    [b, a],
  ];
}

/** In every family the two have. */
async function pingsOfPods({ lab }: Bed): Promise<string> {
  for (const [from, to] of both(lab)) {
    await until(
      `${from.machine.name} reaches ${to.machine.name}`,
      { deadlineMs: 5_000 },
      async () => ((await pingOnce(from, to)) ? true : undefined),
    );
  }
  return both(lab)
    .map(([from]) => from.ips.length)
    .join(" ");
}

/** From the device's own address to the other pod, as a container's host would. */
async function pingsOfHosts({ lab, scenario }: Bed): Promise<string> {
  for (const [from, to] of both(lab)) {
    for (const [index, ip] of to.ips.entries()) {
      const device = scenario.devices[index] ?? scenario.devices[0] ?? "";
      const own = await addressOf(from.machine, device, ip.includes(":") ? "-6" : "-4");
      await from.machine.exec(["ping", "-n", "-c", "2", "-W", "3", "-I", own, ip]);
    }
  }
  return "answered";
}

async function addressOf(node: Machine, device: string, family: "-4" | "-6"): Promise<string> {
  const text = await node.exec(["ip", family, "-o", "address", "show", "dev", device]);
  const address = /inet6? ([0-9a-f.:]+)\/(?:32|128)/.exec(text)?.[1];
  if (address === undefined) throw new Error(`${device} has no address: ${text}`);
  return address;
}

/** Lease and kernel of both nodes, with names in place of what differs from run to run. */
async function kernelText({ lab, scenario }: Bed): Promise<string> {
  const parts: string[] = [];
  for (const node of lab.nodes) {
    const commands = [
      ["ip", "route", "show"],
      ["ip", "-6", "route", "show"],
      ...scenario.devices.flatMap((device) => [
        ["ip", "-d", "address", "show", "dev", device],
        ...(device.includes("-wg") ? [["wg", "showconf", device]] : []),
      ]),
      ["cat", "/run/flannel/subnet.env"],
    ];
    for (const argv of commands) {
      const lines = (await node.exec(argv)).trimEnd().split("\n");
      parts.push(await anonymous(lab, [`# ${node.name}: ${argv.join(" ")}`, ...lines].join("\n")));
    }
  }
  const leases = await lab.registry.leases();
  const values = leases.map(({ entry }) => anonymous(lab, `${entry.key}\n${entry.value}`));
  return [...(await Promise.all(values)).sort(), ...parts.map(sortRoutes)].join("\n\n");
}

/** Routes come by destination, which differs from run to run; those of containers are not ours. */
function sortRoutes(text: string): string {
  const [command = "", ...lines] = text.split("\n");
  if (!command.includes("route show")) return text;
  const ours = lines.filter((line) => !/^<link-local>|dev (cni0|<veth>)/.test(line));
  return [command, ...ours.map((line) => line.trimEnd()).sort()].join("\n");
}

async function anonymous(lab: Lab, text: string): Promise<string> {
  let result = text.replaceAll(/^(PrivateKey = ).*$/gm, "$1<private key>");
  const names = new Map(lab.nodes.map((node) => [node.id.ip, node.name]));
  for (const { entry, publicIp } of await lab.registry.leases()) {
    const name = names.get(publicIp) ?? publicIp;
    const [v4 = "", v6 = ""] = entry.key.replace(/^.*\//, "").split("&");
    const key = /"PublicKey":"([^"]+)"/.exec(entry.value)?.[1];
    if (key !== undefined) result = result.replaceAll(key, `<key of ${name}>`);
    const net = v4.replace(/\.0-24$/, ".");
    result = result.replaceAll(net, `<${name}>.`);
    if (v6 !== "") result = result.replaceAll(v6.replace(/::-64$/, "::"), `<${name}>::`);
  }
  return result
    .replaceAll(/^[0-9]+: /gm, "N: ")
    .replaceAll(/veth[0-9a-f]+/g, "<veth>")
    .replaceAll(/fe80::[0-9a-f:]+/g, "<link-local>")
    .replaceAll(/@if[0-9]+/g, "@<if>");
}

/** Stopped and started, then killed: the device stays the one it is, and no packet is lost. */
async function restartWithoutLoss({ lab, scenario }: Bed): Promise<string> {
  const before = await indices(lab, scenario);
  const pingers = await Promise.all(both(lab).map(([from, to]) => Pinger.start(from, to)));
  for (const node of lab.nodes) {
    const unit = lab.unit(node.name);
    await unit.restart();
    await inSync(lab, node, unit.starts);
    await unit.crash({ restart: true });
    await inSync(lab, node, unit.starts);
  }
  const reports = await Promise.all(pingers.map((pinger) => pinger.stop()));
  const after = await indices(lab, scenario);
  if (before !== after) throw new Error(`devices were made anew: ${before}, then ${after}`);
  const lost = reports.map((report) => report.lost);
  if (lost.some((count) => count > 0)) throw new Error(`pings were lost: ${lost.join(", ")}`);
  return `${reports.map(({ received }) => received).join(" + ")} pings, none lost`;
}

async function indices(lab: Lab, { devices }: Scenario): Promise<string> {
  const all = lab.nodes.flatMap((node) =>
    devices.map((device) => node.exec(["cat", `/sys/class/net/${device}/ifindex`])),
  );
  return (await Promise.all(all)).map((text) => text.trim()).join(" ");
}

/** The agent's own log says when it has looked at the whole kernel after a start. */
async function inSync(lab: Lab, node: Machine, starts: number): Promise<void> {
  await until(`${node.name} is in sync again`, { deadlineMs: 10_000 }, async () => {
    const log = await lab.unit(node.name).log();
    return log.split("snapshot.applied").length > starts ? true : undefined;
  });
}

/** What somebody takes away is back within moments: a route, and a WireGuard peer, which is silent. */
async function driftRepaired({ lab, scenario }: Bed): Promise<string> {
  const [node] = lab.nodes;
  const [device = ""] = scenario.devices;
  if (node === undefined) throw new Error("no node");
  const list = device.includes("-wg")
    ? ["wg", "show", device, "allowed-ips"]
    : ["ip", "route", "show", "root", "10.244.0.0/16", "via", "10.99.0.2"];
  const before = await node.exec(list);
  if (before.trim() === "") throw new Error(`${list.join(" ")} shows nothing`);
  if (device.includes("-wg")) {
    const [key = ""] = before.split(/\s/);
    await node.exec(["wg", "set", device, "peer", key, "remove"]);
  } else {
    await node.exec(["ip", "route", "flush", "root", "10.244.0.0/16", "via", "10.99.0.2"]);
  }
  const began = Date.now();
  await until("it is back", { deadlineMs: 5_000 }, async () =>
    (await node.exec(list)) === before ? true : undefined,
  );
  for (const [from, to] of both(lab)) {
    await until("pods talk again", { deadlineMs: 5_000 }, async () =>
      (await pingOnce(from, to)) ? true : undefined,
    );
  }
  return `${Date.now() - began} ms`;
}

async function throughput({ lab }: Bed): Promise<string> {
  const [[from, to] = []] = both(lab);
  if (from === undefined || to === undefined) throw new Error("no pods");
  await to.machine.execInPod(to.name, ["iperf3", "-s", "-1", "-D"]);
  const client = ["iperf3", "-J", "-t", "1", "-c", to.ip];
  const json = await until("iperf3 answers", { deadlineMs: 5_000 }, () =>
    from.machine.execInPod(from.name, client),
  );
  const rate = /"sum_received":\s*\{[^}]*"bits_per_second":\s*([0-9.]+)/.exec(json)?.[1];
  const mbit = Math.round(Number(rate ?? "0") / 1e6);
  if (mbit < 1) throw new Error(`nothing arrived: ${json.slice(0, 400)}`);
  return `${mbit} Mbit/s`;
}
