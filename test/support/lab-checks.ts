/** What the integration tests ask of a lab again and again. */
import assert from "node:assert/strict";
import { readKernel } from "../../scripts/testbed/kernel-view.ts";
import type { Lab } from "../../scripts/testbed/lab.ts";
import type { Machine } from "../../scripts/testbed/machine.ts";
import { Pinger } from "../../scripts/testbed/pinger.ts";
import { until } from "../../scripts/testbed/poll.ts";
import { SUBNETS } from "../../scripts/testbed/registry.ts";

const SOON_MS = 30_000;

/** Pods on all nodes, every kernel converged. */
export async function withPods(lab: Lab): Promise<void> {
  await Promise.all(lab.nodes.map((node) => lab.addPod(node)));
  await lab.waitConverged();
}

/**
 * Does something while every pod pings the next 100 times a second, and requires that not
 * one packet was lost.
 */
export async function withoutLoss(lab: Lab, work: () => Promise<void>): Promise<void> {
  const pods = lab.pods;
  const pingers = await Promise.all(
    pods.map((from, index) => Pinger.start(from, pods[(index + 1) % pods.length] ?? from)),
  );
  try {
    await work();
    await Promise.all(pingers.map((pinger) => pinger.answered(20)));
    const reports = await Promise.all(pingers.map((pinger) => pinger.stop()));
    const lossy = reports.filter((report) => report.lost > 0);
    assert.deepEqual(lossy, [], "pings were lost");
  } finally {
    for (const pinger of pingers) await pinger[Symbol.asyncDispose]();
  }
}

/** A lease of a machine that is not there, written as flanneld writes it; its subnet. */
export async function putForeignLease(lab: Lab, index: number): Promise<string> {
  const mac = `4e:00:00:00:00:${index.toString(16).padStart(2, "0")}`;
  const value = `{"PublicIP":"10.99.200.${index}","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"${mac}"}}`;
  const granted = await lab.registry.etcdctl(["lease", "grant", "3600"]);
  const etcdLease = granted.split(" ")[1] ?? "";
  const key = `${SUBNETS}10.244.${index}.0-24`;
  await lab.registry.etcdctl(["put", `--lease=${etcdLease}`, key], { input: value });
  return `10.244.${index}.0/24`;
}

export async function deleteLease(lab: Lab, subnet: string): Promise<void> {
  await lab.registry.etcdctl(["del", `${SUBNETS}${subnet.replace("/", "-")}`]);
}

/** Waits until every node's kernel has a route to the subnet, or none has. */
export async function routedEverywhere(
  lab: Lab,
  subnet: string,
  isRouted: boolean,
  deadlineMs = SOON_MS,
): Promise<void> {
  const what = `${subnet} is ${isRouted ? "routed" : "withdrawn"} everywhere`;
  await until(what, { deadlineMs }, async () => {
    const views = await Promise.all(lab.nodes.map(readKernel));
    const has = views.map((view) => view.routes.some((route) => route.destination === subnet));
    return has.every((one) => one === isRouted) ? true : undefined;
  });
}

/** A change in etcd reaches every kernel and goes again: the whole chain is alive. */
export async function changesArrive(lab: Lab, index = 200): Promise<void> {
  const subnet = await putForeignLease(lab, index);
  await routedEverywhere(lab, subnet, true);
  await deleteLease(lab, subnet);
  await routedEverywhere(lab, subnet, false);
  await lab.waitConverged();
}

/** True when the daemon of this machine answers /readyz with 200. */
export async function isReady(machine: Machine): Promise<boolean> {
  return /^\S+ 200 /.test(await httpGet(machine, "/readyz"));
}

/** Sum of a metric of this machine's daemon over all its labels. */
export async function metricSum(machine: Machine, name: string): Promise<number> {
  const lines = (await httpGet(machine, "/metrics")).split("\n");
  const values = lines.filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
  return values.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
}

/** Status line, headers and body; empty when nothing answers. */
async function httpGet(machine: Machine, path: string): Promise<string> {
  const script = `exec 3<>/dev/tcp/127.0.0.1/7471; printf 'GET ${path} HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3`;
  const { stdout } = await machine.tryExec(["bash", "-c", script]);
  return stdout;
}

export async function waitReady(machine: Machine): Promise<void> {
  await until(`${machine.name} is ready`, { deadlineMs: SOON_MS }, async () =>
    (await isReady(machine)) ? true : undefined,
  );
}

/**
 * A node's overlay as an operator sees it, with names in place of what differs from run to
 * run: subnets and VTEP MACs of nodes, interface numbers.
 */
export function overlayText(lab: Lab, node: Machine): Promise<string> {
  const device = ["dev", "flannel.1"];
  return textOf(lab, node, [
    ["ip", "route", "show"],
    ["ip", "neigh", "show", ...device],
    ["bridge", "fdb", "show", ...device],
    ["ip", "address", "show", ...device],
    ["ip", "-d", "link", "show", ...device],
    ["cat", "/proc/sys/net/ipv6/conf/flannel.1/accept_ra"],
    ["cat", "/run/flannel/subnet.env"],
  ]);
}

/** What these commands print on the node, each behind its own words. */
export async function textOf(
  lab: Lab,
  node: Machine,
  commands: readonly (readonly string[])[],
): Promise<string> {
  const parts: string[] = [];
  for (const argv of commands) {
    parts.push(`$ ${argv.join(" ")}\n${(await node.exec(argv)).trimEnd()}`);
  }
  return `${await anonymous(lab, parts.join("\n\n"))}\n`;
}

async function anonymous(lab: Lab, text: string): Promise<string> {
  let result = text;
  for (const lease of await lab.registry.leases()) {
    const name = lab.nodes.find((node) => node.id.ip === lease.publicIp)?.name ?? lease.publicIp;
    const net = lease.subnet.replace(/\.0\/24$/, "");
    // Not every backend has one.
    if (lease.vtepMac !== "") result = result.replaceAll(lease.vtepMac, `<VTEP MAC of ${name}>`);
    result = result.replaceAll(
      new RegExp(`\\b${net.replaceAll(".", "\\.")}\\.`, "g"),
      `<${name}>.`,
    );
  }
  return sortByName(
    result
      .replaceAll(/^[0-9]+: /gm, "N: ")
      // Duplicate address detection may still run; queue and offload sizes are the kernel's.
      .replaceAll(" tentative", "")
      .replaceAll(/ numtxqueues .*$/gm, "")
      .replaceAll(/ +$/gm, "")
      .replaceAll(/inet6 fe80::[0-9a-f:]+\/64/g, "inet6 <link-local>/64"),
  );
}

/** Kernel lists come by address or hash, which differ from run to run: by name instead. */
function sortByName(text: string): string {
  return text
    .split("\n\n")
    .map((part) => {
      const [command = "", ...lines] = part.split("\n");
      const isList = /^\$ (ip route|ip neigh|bridge fdb)/.test(command);
      return [command, ...(isList ? lines.toSorted() : lines)].join("\n");
    })
    .join("\n\n");
}
