/**
 * Row 10: a whole fleet starts at once against empty leases: how long until everybody has
 * everybody, and what it costs etcd.
 */
import { nowMs } from "../support/clock.ts";
import { ControlPlane } from "../support/control-plane.ts";
import { type Bench, mustBe, type Row } from "../support/row.ts";
import { Scrape } from "../support/scrape.ts";

const FULL = { nodes: [10, 100, 1000, 5000], controllers: 2 } as const;
const QUICK = { nodes: [200], controllers: 2 } as const;
const TARGET_PER_NODE = 6;

export const coldStart: Row = {
  name: "cold-start",
  what: "a fleet starts at once: time, and etcd requests per node",
  async run(bench: Bench): Promise<void> {
    const { nodes, controllers } = bench.quick ? QUICK : FULL;
    for (const count of bench.nodes ?? nodes) await measure(bench, count, controllers);
  },
};

async function measure(bench: Bench, nodes: number, controllers: number): Promise<void> {
  await using plane = await ControlPlane.start({ agents: nodes, controllers, bench });
  const before = await etcdRequests(plane);
  const fromMs = nowMs();
  const { leases } = await plane.fleet.coldStart();
  const stored = await plane.leases();
  const last = Math.max(...stored.map(({ modRevision }) => modRevision));
  await plane.acknowledged(last);
  const seconds = (nowMs() - fromMs) / 1000;
  const { requests, watchers } = await etcdRequests(plane);
  mustBe(new Set(leases.values()).size === nodes, "two nodes were given the same lease");
  mustBe(stored.length === nodes, `${nodes} nodes started, etcd holds ${stored.length} leases`);
  await plane.mustBeClean();
  const perNode = (requests - before.requests) / nodes;
  const of = { nodes, controllers };
  bench.report({ figure: "cold-start.full_mesh", value: seconds, unit: "s", of });
  bench.report({
    ...{ figure: "cold-start.etcd_requests", value: perNode, unit: "a node", of },
    ...{ target: `<= ${TARGET_PER_NODE} a node`, isMet: perNode <= TARGET_PER_NODE },
  });
  bench.report({ figure: "cold-start.etcd_watchers", value: watchers, unit: "watchers", of });
}

/** Calls of all kinds, and keep-alives, which share one stream. */
async function etcdRequests(
  plane: ControlPlane,
): Promise<{ readonly requests: number; readonly watchers: number }> {
  const page = await Scrape.of(plane.etcd.first.metricsUrl);
  const calls = page.sum("grpc_server_started_total");
  const keepAlives = page.sum("grpc_server_msg_received_total", 'grpc_method="LeaseKeepAlive"');
  return { requests: calls + keepAlives, watchers: page.sum("etcd_debugging_mvcc_watcher_total") };
}
