/**
 * Rows 2 and 3: real agents in network namespaces, mutual TLS, real kernels. All start at once on
 * machines that know nothing, until every kernel has a route to every other node; then leases
 * change one at a time, from the moment etcd tells of it to the last kernel's own event.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { DEFAULT_CONFIG, Lab } from "../../../scripts/testbed/lab.ts";
import { LineProcess } from "../../../scripts/testbed/line-process.ts";
import { until } from "../../../scripts/testbed/poll.ts";
import { SUBNETS } from "../../../scripts/testbed/registry.ts";
import { deleteLease, putForeignLease } from "../../support/lab-checks.ts";
import { nowMs } from "../support/clock.ts";
import { type Bench, below, mustBe, type Row } from "../support/row.ts";
import { median, percentile } from "../support/statistics.ts";

const FULL = { nodes: [10, 50], changes: 40 } as const;
const PATIENCE = { deadlineMs: 180_000, everyMs: 20 };
const TARGET_MS = 150;
const REST_MS = 100;
/** All that an agent leaves on its machine. */
const FORGET = "ip link del flannel.1 2>/dev/null; rm -rf /run/flannel /var/lib/twill*";

export const mesh: Row = {
  name: "mesh",
  what: "real agents start at once; one change, until all kernels have it",
  needsRoot: true,
  async run(bench: Bench): Promise<void> {
    // Labs are what the integration tests are made of; a quick run adds nothing to them.
    if (bench.quick) return;
    for (const nodes of bench.nodes ?? FULL.nodes) await measure(bench, nodes);
  },
};

async function measure(bench: Bench, nodes: number): Promise<void> {
  const options = { name: "bench", nodes, controllers: 3, etcdMembers: 1, config: DEFAULT_CONFIG };
  await using lab = await Lab.start(options);
  await lab.waitConverged(PATIENCE.deadlineMs);
  const seconds = await startTogether(lab);
  const of = { nodes, controllers: 3 };
  bench.report({ figure: "mesh.full_after_common_start", value: seconds, unit: "s", of });
  const lastMs = await followChanges(lab);
  const p99 = percentile(lastMs, 99);
  bench.report({ figure: "mesh.all_kernels_p50", value: median(lastMs), unit: "ms", of });
  bench.report({
    ...{ figure: "mesh.all_kernels_p99", value: p99, unit: "ms", of },
    ...(nodes === 50 ? below(TARGET_MS, p99, "ms") : {}),
  });
}

/** Everything is forgotten, in etcd too; then all agents are started within one turn. */
async function startTogether(lab: Lab): Promise<number> {
  const agents = lab.units.filter(({ machine }) => machine.id.role === "node");
  await Promise.all(agents.map((unit) => unit.crash({ restart: false })));
  for (const { machine } of agents) await machine.tryExec(["sh", "-c", FORGET]);
  await lab.registry.etcdctl(["del", "--prefix", SUBNETS]);
  await lab.registry.etcdctl(["del", "--prefix", "/coreos.com/network/twill/nodes/"]);
  const started = agents.map(({ starts }) => starts);
  await using kernels = new RouteWatch(lab);
  const fromMs = nowMs();
  for (const unit of agents) unit.start();
  await until("every kernel has every route", PATIENCE, () =>
    kernels.everyNodeHas(agents.length - 1) ? true : undefined,
  );
  const seconds = (kernels.lastMs - fromMs) / 1000;
  await lab.waitConverged(PATIENCE.deadlineMs);
  const leases = await lab.registry.leases();
  mustBe(leases.length === agents.length, `${leases.length} leases of ${agents.length} nodes`);
  const again = agents.filter(({ starts }, index) => starts !== (started[index] ?? 0) + 1);
  mustBe(again.length === 0, `${again.length} agents had to be started again`);
  return seconds;
}

/** For each change: from etcd's own word of it to the last kernel's. */
async function followChanges(lab: Lab): Promise<readonly number[]> {
  const etcd = lab.machine("etcd1");
  let toldMs = 0;
  await using kernels = new RouteWatch(lab);
  await using _keys = new LineProcess(
    etcd.enter(["etcdctl", "watch", "--prefix", SUBNETS]),
    () => {
      toldMs ||= nowMs();
    },
    etcd.env,
  );
  const times: number[] = [];
  for (let change = 0; change <= FULL.changes; change += 1) {
    await sleep(REST_MS);
    kernels.forget();
    toldMs = 0;
    const subnet = await putForeignLease(lab, 200);
    await until(`${subnet} is in every kernel`, PATIENCE, () =>
      kernels.everyNodeHas(1) && toldMs > 0 ? true : undefined,
    );
    // The first warms everything up.
    if (change > 0) times.push(Math.max(0, kernels.lastMs - toldMs));
    kernels.forget();
    await deleteLease(lab, subnet);
    await until(`${subnet} is out of every kernel`, PATIENCE, () =>
      kernels.everyNodeHas(1) ? true : undefined,
    );
  }
  return times;
}

/** What each node's kernel itself says of routes, as it happens. */
class RouteWatch implements AsyncDisposable {
  readonly #seen = new Map<string, Set<string>>();
  readonly #processes: readonly LineProcess[];
  lastMs = 0;

  constructor(lab: Lab) {
    this.#processes = lab.nodes.map((node) => {
      this.#seen.set(node.name, new Set());
      const monitor = node.enter(["ip", "-o", "monitor", "route"]);
      return new LineProcess(monitor, (line) => this.#see(node.name, line), node.env);
    });
  }

  forget(): void {
    for (const routes of this.#seen.values()) routes.clear();
  }

  everyNodeHas(count: number): boolean {
    return [...this.#seen.values()].every((routes) => routes.size >= count);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const process of this.#processes) await process[Symbol.asyncDispose]();
  }

  #see(node: string, line: string): void {
    const subnet = /^(?:Deleted )?(10\.244\.\d+\.0\/24) via /.exec(line)?.[1];
    if (subnet === undefined) return;
    this.#seen.get(node)?.add(subnet);
    this.lastMs = nowMs();
  }
}
