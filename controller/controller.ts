/**
 * Composition root of the controller: builds the parts, joins them, runs them in one group.
 * etcd may be away at any time, also at the start: everything here waits and goes on.
 */
import { type AdminResponse, startAdminServer } from "../common/admin-server.ts";
import { systemClock } from "../common/async/clock.ts";
import { TaskGroup } from "../common/async/task-group.ts";
import type { Environment } from "../common/config/option-table.ts";
import type { TwillError } from "../common/errors.ts";
import { Health } from "../common/health.ts";
import { Lifecycle, nodeProcess } from "../common/lifecycle.ts";
import { createLogger, type Logger } from "../common/log.ts";
import { createMetrics, type Metrics, noMetrics } from "../common/metrics.ts";
import { Systemd } from "../common/systemd.ts";
import { VERSION } from "../common/version.ts";
import { type CandidateValue, decodeCandidate, encodeCandidate } from "./candidate-value.ts";
import { ChangeDesk } from "./change/change-desk.ts";
import { consoleOrigin } from "./console/access.ts";
import { startConsole } from "./console/console.ts";
import { readGauges } from "./gauges.ts";
import { keepJournal } from "./journal/journal-keeper.ts";
import { LeaseService } from "./lease/lease-service.ts";
import { nudgeForEver } from "./lease/nudge.ts";
import { Registrar } from "./lease/registrar.ts";
import type { ControllerCommand, ControllerOptions } from "./options.ts";
import { reportForEver } from "./report.ts";
import { driveRollouts } from "./rollout/drive-rollout.ts";
import { LeaderClient } from "./rpc/leader-client.ts";
import { leaderLine } from "./rpc/leader-line.ts";
import { candidateAddresses, leaderAddress } from "./rpc/operator-service.ts";
import { OtherReplicas, type OtherReplicasParts } from "./rpc/other-replicas.ts";
import { serve } from "./rpc/serve.ts";
import { ReplicaCredentials } from "./rpc/tls/replica-credentials.ts";
import { runElection } from "./store/campaign.ts";
import { buryDeadLeaders } from "./store/dead-leader.ts";
import { EtcdStore } from "./store/etcd-store.ts";
import type { Leadership } from "./store/store.ts";
import { ViewService } from "./view/view-service.ts";

const SHUTDOWN_MS = 10_000;

export type RunCommand = Extract<ControllerCommand, { kind: "run" }>;

/** Runs until told to stop; exits the process. */
export async function runController(command: RunCommand, env: Environment): Promise<void> {
  const { options } = command;
  const format = options.logFormat === "auto" ? formatFor(process.stderr) : options.logFormat;
  const log = createLogger({ level: options.logLevel, format, clock: systemClock });
  log.event("process.started", `twill-controller ${VERSION}`, {
    version: VERSION,
    given: command.given.map(({ source, text }) => `${source}=${text}`),
  });
  for (const warning of command.warnings) log.event("option.ignored", warning, { key: warning });
  if (options.tls === undefined) {
    log.event("option.insecure", "plaintext: whoever reaches the port can take over the network");
  }
  const lifecycle = new Lifecycle({
    process: nodeProcess(),
    clock: systemClock,
    logger: log,
    shutdownDeadlineMs: SHUTDOWN_MS,
  });
  await lifecycle.run((life) => runParts(options, { log, life, env }));
}

interface Surroundings {
  readonly log: Logger;
  readonly life: Lifecycle;
  readonly env: Environment;
}

async function runParts(options: ControllerOptions, around: Surroundings): Promise<void> {
  const { log, life } = around;
  const clock = systemClock;
  const { random } = Math;
  const credentials = await ReplicaCredentials.open(options.tls, { clock, log });
  life.onReload(() => credentials.reload());
  const store = await EtcdStore.open(options.etcd, { clock, random, log });
  life.onShutdown("store", () => store.close());
  const views = new ViewService({ store, clock, log, random, storm: options.storm });
  const { leaseTtlSeconds: ttlSeconds, policy } = options;
  const leases = { store, clock, random, log, views, ttlSeconds, policy };
  const service = new LeaseService(leases);
  const allocator = new LeaderClient({
    self: options.address,
    leader: () => leaderAddress(views),
    local: service,
    credentials: () => credentials.channel,
    wallMs: () => clock.wallMs(),
  });
  life.onShutdown("leader client", async () => allocator.close());
  const storeFault = (): TwillError | undefined => faultOf(store) ?? views.fault;
  const registrar = new Registrar({ ...leases, storeFault, allocator });
  const group = new TaskGroup(life.signal);
  const metrics = options.healthz === undefined ? noMetrics : await createMetrics("controller");
  const parts = {
    ...{ options, log, clock, random, metrics },
    ...{ views, registrar, service, store, storeFault, credentials },
    desk: new ChangeDesk({ store, views, clock }),
  };
  const served = await serve({ ...parts, group });
  life.onShutdown("gRPC server", () => served.close());
  const page = await startConsole({
    ...{ ...parts, nodes: served.nodes, askNode: served.askNode, group },
    others: (isWatched) => new OtherReplicas(othersOf(options, { ...parts, isWatched })),
  });
  if (page !== undefined) life.onShutdown("console", () => page.close());
  const gauges = { metrics, view: views.view, hub: served.hub, service };
  metrics.beforeScrape(() => readGauges(gauges));
  metrics.set("twill_build_info", { version: VERSION }, 1);
  const health = new Health(clock);
  await startHealth(options, { health, metrics }, around);
  const systemd = systemdOf(health, around);
  const candidate = encodeCandidate(candidateOf(options));
  const election = { ...parts, value: candidate, ttlSeconds: options.leaderTtlSeconds };
  const addressOf = (value: string): string | undefined => decodeCandidate(value)?.address;
  const line = leaderLine(() => credentials.channel);
  const others = { ...parts, line, self: options.address, addressOf };
  group.spawn((signal) => views.run(signal));
  group.spawn((signal) => registrar.run(signal));
  const journal = { ...parts, view: views.view, length: options.journalLength };
  const nudging = { ...parts, view: views.view, intervalMs: options.nudgeIntervalMs };
  const lead = async (leadership: Leadership): Promise<void> => {
    parts.desk.lead(leadership);
    await Promise.all([
      service.lead(leadership),
      keepJournal(journal, leadership),
      driveRollouts({ ...parts, view: views.view, askConfig: served.askConfig }, leadership),
      nudgeForEver(nudging, leadership),
    ]);
  };
  group.spawn((signal) => runElection(election, lead, signal));
  group.spawn((signal) => buryDeadLeaders(others, signal));
  group.spawn((signal) => systemd.run(signal));
  group.spawn((signal) => reportForEver({ ...parts, health, systemd, served }, signal));
  await group.join();
}

function othersOf(
  { address }: ControllerOptions,
  parts: Pick<OtherReplicasParts, "clock" | "isWatched"> & {
    readonly views: ViewService;
    readonly credentials: ReplicaCredentials;
  },
): OtherReplicasParts {
  return {
    ...parts,
    others: () => candidateAddresses(parts.views).filter((other) => other !== address),
    credentials: () => parts.credentials.channel,
  };
}

function candidateOf({ name, address, console, tls }: ControllerOptions): CandidateValue {
  if (console === undefined) return { name, address };
  return { name, address, console: consoleOrigin(console, address, tls !== undefined) };
}

function systemdOf(health: Health, { env, log, life }: Surroundings): Systemd {
  const isLive = (): boolean => health.report().isLive;
  const systemd = new Systemd({ env, pid: process.pid, clock: systemClock, logger: log, isLive });
  life.onShutdown("systemd", () => systemd.stopping());
  return systemd;
}

async function startHealth(
  options: ControllerOptions,
  { health, metrics }: { readonly health: Health; readonly metrics: Metrics },
  { log, life }: Surroundings,
): Promise<void> {
  if (options.healthz === undefined) return;
  const server = await startAdminServer({
    listen: options.healthz,
    health,
    bodies: {
      live: "twill-controller is running",
      ready: "twill-controller is ready",
      notReady: "twill-controller is not ready yet",
    },
    routes: [{ path: "/metrics", respond: () => scrape(metrics) }],
    logger: log,
  });
  life.onShutdown("health server", () => server.close());
}

/** What the store's own calls say; the watch alone goes quiet when etcd does. */
function faultOf({ state }: EtcdStore): TwillError | undefined {
  return state.status.kind === "unavailable" ? state.status.error : undefined;
}

async function scrape(metrics: Metrics): Promise<AdminResponse> {
  const { contentType, body } = await metrics.scrape();
  return { status: 200, contentType, body };
}

function formatFor(stream: { readonly isTTY?: boolean }): "json" | "text" {
  return stream.isTTY === true ? "text" : "json";
}
