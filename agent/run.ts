/** The command `run`: the composition root of the agent. Everything real is made here and passed down. */
import { randomBytes } from "node:crypto";
import { systemClock } from "../common/async/clock.ts";
import { TaskGroup } from "../common/async/task-group.ts";
import type { Environment } from "../common/config/option-table.ts";
import { Health, summarise } from "../common/health.ts";
import { Lifecycle, nodeProcess } from "../common/lifecycle.ts";
import { createLogger, type Logger } from "../common/log.ts";
import { createMetrics, type Metrics, noMetrics } from "../common/metrics.ts";
import { Systemd } from "../common/systemd.ts";
import { VERSION } from "../common/version.ts";
import { ExtensionDriver } from "./extension/extension-driver.ts";
import { type ExtensionMemory, extensionMemory } from "./extension/extension-memory.ts";
import { readFileIfPresent } from "./host/atomic-file.ts";
import { StateDir } from "./host/state-dir.ts";
import { readProcNet } from "./inspect/proc-net.ts";
import { commandRunner } from "./kernel/command.ts";
import { NetlinkKernel } from "./kernel/netlink-kernel.ts";
import { watchRuleset } from "./kernel/ruleset-watch.ts";
import { procSysctl } from "./kernel/sysctl.ts";
import { watchCertificate } from "./membership/certificate-watch.ts";
import { Membership } from "./membership/membership.ts";
import { MembershipFiles } from "./membership/membership-files.ts";
import { NodeAgent } from "./node/node-agent.ts";
import type { AgentCommand, AgentOptions } from "./options.ts";
import { probe } from "./probe/probe.ts";
import { DataPlane } from "./reconcile/data-plane.ts";
import { dataPlaneOptions } from "./reconcile/data-plane-options.ts";
import { openChannel } from "./rpc/channel.ts";
import { enrolmentCalls } from "./rpc/enrolment-client.ts";
import { showCertificate } from "./rpc/show-certificate.ts";
import { SyncStream } from "./rpc/sync-stream.ts";
import { TunnelDriver } from "./tunnel/tunnel-driver.ts";
import { showTunnel } from "./tunnel/tunnel-metrics.ts";

type RunCommand = Extract<AgentCommand, { kind: "run" | "cleanup" }>;

/** Longer than a release may take, shorter than systemd's patience. */
const SHUTDOWN_DEADLINE_MS = 10_000;

export async function runAgent(
  { options, given, warnings }: RunCommand,
  env: Environment,
  pid: number,
): Promise<void> {
  const { logFormat: format, logLevel: level, node } = options;
  const log = createLogger({ format, level, clock: systemClock }).child({ node });
  const lifecycle = new Lifecycle({
    process: nodeProcess(),
    clock: systemClock,
    logger: log,
    shutdownDeadlineMs: SHUTDOWN_DEADLINE_MS,
  });
  log.event("process.started", `twill-agent ${VERSION}`, {
    version: VERSION,
    options: given.map(({ source, text }) => `${source}=${text}`).join(" "),
  });
  for (const warning of warnings) log.event("option.ignored", warning, { key: warning });
  if (options.tls === undefined) {
    const message = "--insecure: whoever is on the path to the controllers can take over routing";
    log.event("option.insecure", message);
  }
  await lifecycle.run(() => runDaemon({ options, env, pid, log, lifecycle }));
}

interface Daemon {
  readonly options: AgentOptions;
  readonly env: Environment;
  readonly pid: number;
  readonly log: Logger;
  readonly lifecycle: Lifecycle;
}

async function runDaemon({ options, env, pid, log, lifecycle }: Daemon): Promise<void> {
  const health = new Health(systemClock);
  const metrics = options.healthz === undefined ? noMetrics : await createMetrics("agent");
  const isLive = (): boolean => health.report().isLive;
  const systemd = new Systemd({ env, pid, clock: systemClock, logger: log, isLive });
  lifecycle.onShutdown("systemd", () => systemd.stopping());
  await using kernel = new NetlinkKernel();
  const tunnel = new TunnelDriver({
    // Loaded for the udp backend alone.
    open: async (wanted) => (await import("./tunnel/udp-tunnel.ts")).openUdpTunnel(wanted),
    clock: systemClock,
    log,
    random: Math.random,
  });
  const membership = openMembership(options, log);
  const run = commandRunner(env["PATH"]);
  const extension = new ExtensionDriver({
    run,
    memory: keptInStateDir(options.stateDir, log),
    ...{ clock: systemClock, log, random: Math.random },
  });
  showTunnel(metrics, () => tunnel.stats());
  const agent = await NodeAgent.open(options, {
    kernel,
    makeReconciler: (table, { networks }) =>
      new DataPlane(
        {
          kernel,
          sysctl: procSysctl(),
          tunnel,
          extension,
          clock: systemClock,
          log,
          random: Math.random,
          table,
          run,
          watchRuleset,
        },
        dataPlaneOptions(options.rules, networks),
      ),
    inspect: { sysctl: procSysctl(), run, readProcNet, probe },
    openStream: async (endpoint) => {
      await membership?.joined(lifecycle.signal);
      return new SyncStream(await openChannel(endpoint, options.tls), endpoint);
    },
    clock: systemClock,
    log,
    health,
    metrics,
    random: Math.random,
    randomBytes: (length) => randomBytes(length),
  });
  announceReadiness(health, systemd, { log, trouble: () => agent.trouble });
  await serveAdmin({ options, health, metrics, log, lifecycle, agent });
  const group = new TaskGroup(lifecycle.signal);
  group.spawn((signal) => systemd.run(signal));
  if (membership !== undefined) group.spawn((signal) => membership.run(signal));
  const { tls, controllers } = options;
  if (tls !== undefined) {
    const watch = {
      ...{ controllers, clock: systemClock },
      read: () => readFileIfPresent(tls.certFile),
      show: (controller: string) => showCertificate(controller, tls, systemClock.wallMs()),
    };
    group.spawn((signal) => watchCertificate(watch, signal));
  }
  group.spawn((signal) => agent.run(signal));
  await group.join();
}

/** Whom the operator's commands have added outlives the process. */
function keptInStateDir(path: string, log: Logger): ExtensionMemory {
  const state = new StateDir({ path, log, randomBytes: () => randomBytes(6) });
  return extensionMemory({
    read: () => state.readExtensionPeers(),
    write: (text) => state.writeExtensionPeers(text),
  });
}

/** undefined: this node's certificate is not the agent's business. */
function openMembership(options: AgentOptions, log: Logger): Membership | undefined {
  const { node, joinTokenFile, controllers, stateDir } = options;
  if (joinTokenFile === undefined) return undefined;
  return new Membership({
    ...{ node, controllers, log, clock: systemClock, random: Math.random },
    files: new MembershipFiles(stateDir),
    calls: enrolmentCalls(() => systemClock.wallMs()),
    readToken: () => readFileIfPresent(joinTokenFile),
  });
}

/**
 * READY=1 and one line in the log, the first time that everything is as it should be, or that the
 * cached table is good enough; systemd's status line says what is not.
 */
function announceReadiness(
  health: Health,
  systemd: Systemd,
  { log, trouble }: { readonly log: Logger; readonly trouble: () => string },
): void {
  let wasReady = false;
  health.onChange(() => {
    const report = health.report();
    const but = report.isReady ? trouble() : "";
    systemd.status(but === "" ? summarise(report) : `ready, but ${but}`);
    if (wasReady || !report.isReady) return;
    wasReady = true;
    systemd.ready();
    const on = but === "" ? "in sync with the kernel programmed" : but;
    log.event("agent.ready", `${on}; containers may start`);
  });
}

interface Admin {
  readonly options: AgentOptions;
  readonly health: Health;
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly lifecycle: Lifecycle;
  readonly agent: NodeAgent;
}

async function serveAdmin(admin: Admin): Promise<void> {
  const { options, health, metrics, log, lifecycle, agent } = admin;
  if (options.healthz === undefined) return;
  const { json, startAdminServer } = await import("../common/admin-server.ts");
  metrics.set("twill_build_info", { version: VERSION }, 1);
  metrics.beforeScrape(() => {
    for (const { name, state } of health.report().components) {
      metrics.set("twill_component_ok", { component: name }, state.kind === "ok" ? 1 : 0);
    }
  });
  const server = await startAdminServer({
    listen: options.healthz,
    health,
    // flannel's words, which probes of its users may look for (contract 2.4).
    bodies: {
      live: "flanneld is running",
      ready: "flanneld is ready",
      notReady: "flanneld is not ready yet",
    },
    routes: [
      { path: "/metrics", respond: async () => ({ status: 200, ...(await metrics.scrape()) }) },
      { path: "/debug/state", respond: () => json(200, agent.describe()) },
    ],
    logger: log,
  });
  lifecycle.onShutdown("health and metrics", () => server.close());
}
