/** Chapters of the tour that look: who leads, who holds what, and a node's kernel beside it. */
import { isLeaseOf } from "./kernel-view.ts";
import { LineProcess } from "./line-process.ts";
import type { Machine } from "./machine.ts";
import { until } from "./poll.ts";
import { ELECTION, type LeaseRow, type Reach, SUBNETS } from "./registry.ts";
import { table } from "./report.ts";
import type { Tour } from "./tour-chapter.ts";

const LEADER_MS = 20_000;

/** flannel's key and value, byte for byte (for the backends that have data: vxlan). */
const FLANNEL_KEY = /^\/coreos\.com\/network\/subnets\/[0-9.]+-[0-9]+(&[0-9a-f:]+-[0-9]+)?$/;
const FLANNEL_VALUE =
  /^\{"PublicIP":"[0-9.]+","PublicIPv6":(null|"[0-9a-f:]+")(,"BackendType":"[a-z-]+"(,"BackendData":\{.*\})?(,"BackendV6Data":\{.*\})?)?\}$/;

export async function showCluster({ lab, report }: Tour): Promise<void> {
  report.chapter(
    "Who leads, and who holds what",
    "etcd is the only truth, in flannel's own layout",
  );
  const etcd = lab.machine("etcd1");
  const leader = await until("a controller leads", { deadlineMs: LEADER_MS }, () => lab.leader());
  const argv = ["etcdctl", "elect", "--listen", ELECTION];
  report.show(`lab exec etcd1 -- ${argv.join(" ")}`, (await firstLines(etcd, argv, 2)).join("\n"));
  report.line();
  report.check("etcd's election names one leader", true, leader.name);

  const get = ["etcdctl", "get", "--prefix", SUBNETS];
  report.show(`lab exec etcd1 -- ${get.join(" ")}`, await etcd.exec(get));
  report.line();
  const leases = await lab.registry.leases();
  const rows = await Promise.all(leases.map((lease) => leaseCells(lab, lease)));
  const heading = ["node", "subnet", "public IP", "backend", "VTEP MAC", "etcd TTL"];
  for (const line of table([heading, ...rows])) report.line(line);
  report.line();
  const exact = leases.filter(
    ({ entry }) => FLANNEL_KEY.test(entry.key) && FLANNEL_VALUE.test(entry.value),
  );
  const found = `${exact.length} of ${lab.nodes.length}`;
  report.check(
    "leases are exactly as flannel writes them",
    exact.length === lab.nodes.length,
    found,
  );
  const status = ["twillctl", "status"];
  report.show(`lab exec controller1 -- ${status.join(" ")}`, await statusText(lab, status));
}

/** Its exit code says healthy or not; here it is only shown. */
async function statusText(lab: Tour["lab"], argv: readonly string[]): Promise<string> {
  const { stdout, stderr } = await lab.machine("controller1").tryExec(argv);
  return stdout || stderr;
}

async function leaseCells(lab: Tour["lab"], lease: LeaseRow): Promise<string[]> {
  const node = lab.nodes.find(({ id }) => isLeaseOf(lease, id))?.name ?? "?";
  const ttl = await lab.registry.timeToLive(lease.entry.etcdLease);
  const left = ttl === undefined ? "-" : `${ttl.left} of ${ttl.granted} s`;
  const backend = lease.backendType || "-";
  const every = (pick: (reach: Reach) => string): string =>
    lease.reaches.map((reach) => pick(reach) || "-").join(" ");
  return [
    node,
    every((reach) => reach.subnet),
    every((reach) => reach.publicIp),
    backend,
    every((reach) => reach.vtepMac),
    left,
  ];
}

export async function showNode({ lab, report, settings }: Tour): Promise<void> {
  const [node] = lab.nodes;
  if (node === undefined) return;
  report.chapter(
    `The kernel of ${node.name}, beside what etcd holds`,
    "the kernel forwards by itself; no daemon is in the way of a packet",
  );
  for (const argv of kernelCommands(settings.backend)) {
    const { stdout, stderr } = await node.tryExec(argv);
    report.show(`lab exec ${node.name} -- ${argv.join(" ")}`, stdout || stderr);
  }
  report.line();
  const found = await lab.differences();
  const text = found.length === 0 ? `${lab.nodes.length} kernels compared` : found.join("; ");
  report.check(
    "kernels hold what etcd's leases say, no more and no less",
    found.length === 0,
    text,
  );
}

function kernelCommands(backend: string): string[][] {
  const always = [
    ["cat", "/run/flannel/subnet.env"],
    ["ip", "route"],
  ];
  if (backend !== "vxlan") return [...always, ["ip", "-brief", "address"]];
  return [
    ...always,
    ["ip", "neigh", "show", "dev", "flannel.1"],
    ["bridge", "fdb", "show", "dev", "flannel.1"],
    ["ip", "-d", "link", "show", "flannel.1"],
  ];
}

/** The first lines of a program that does not end by itself. */
async function firstLines(
  machine: Machine,
  argv: readonly string[],
  count: number,
): Promise<string[]> {
  const lines: string[] = [];
  await using _process = new LineProcess(
    machine.enter(argv),
    (line) => lines.push(line),
    machine.env,
  );
  await until(`${argv.join(" ")} says something`, { deadlineMs: LEADER_MS }, () =>
    lines.length >= count ? true : undefined,
  );
  return lines.slice(0, count);
}
