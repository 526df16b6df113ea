/** What this replica says of itself once a second: health, gRPC health, systemd's status line. */
import type { Clock } from "../common/async/clock.ts";
import type { TwillError } from "../common/errors.ts";
import { type Health, type HealthComponent, summarise } from "../common/health.ts";
import type { Systemd } from "../common/systemd.ts";
import type { LeaseService } from "./lease/lease-service.ts";
import { leaderAddress } from "./rpc/operator-service.ts";
import type { Served } from "./rpc/serve.ts";
import type { ViewService } from "./view/view-service.ts";

const REPORT_MS = 1_000;

export interface ReportParts {
  readonly clock: Clock;
  readonly health: Health;
  readonly systemd: Systemd;
  readonly views: ViewService;
  readonly storeFault: () => TwillError | undefined;
  readonly service: LeaseService;
  readonly served: Served;
}

export async function reportForEver(parts: ReportParts, signal: AbortSignal): Promise<void> {
  const etcd = parts.health.component("etcd", { gate: "ready" });
  for (;;) {
    report(parts, etcd);
    await parts.clock.sleep(REPORT_MS, signal);
  }
}

/**
 * Serving begins with the first table and goes on without etcd: streams, resumes and status
 * need only the table.
 */
function report(parts: ReportParts, etcd: HealthComponent): void {
  const { health, systemd, views, service, served, storeFault } = parts;
  const fault = storeFault()?.message;
  const reason = views.isReady ? fault : (fault ?? "the leases were not read yet");
  if (reason === undefined) etcd.ok();
  else etcd.degraded(reason);
  served.setServing(views.isReady);
  if (views.isReady) systemd.ready();
  const leader = leaderAddress(views);
  const role = service.isLeading ? "leads" : `follows ${leader === "" ? "nobody" : leader}`;
  const nodes = served.nodes().length;
  const { size } = views.view.table.rows;
  systemd.status(`${role}; ${nodes} nodes here, ${size} leases; ${summarise(health.report())}`);
}
