/** What a running agent needs of the world; main.ts gives the real ones, tests their own. */
import type { Clock } from "../../common/async/clock.ts";
import type { Health } from "../../common/health.ts";
import type { Logger } from "../../common/log.ts";
import type { Metrics } from "../../common/metrics.ts";
import type { PreviousEnv } from "../host/subnet-env.ts";
import type { PathPorts } from "../inspect/path-facts.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { PeerTable } from "../peers/peer-table.ts";
import type { Probe } from "../probe/probe.ts";
import type { NodeReconciler } from "../reconcile/node-reconciler.ts";
import type { ControllerStream } from "../rpc/sync-stream.ts";

export interface NodeAgentPorts {
  readonly kernel: Kernel;
  /** Made when the table and what an earlier run left are known. */
  readonly makeReconciler: (table: PeerTable, previous: PreviousEnv) => NodeReconciler;
  readonly openStream: (endpoint: string) => Promise<ControllerStream>;
  /** What operators' questions are answered from, besides the kernel. */
  readonly inspect: Omit<PathPorts, "kernel"> & { readonly probe: Probe };
  readonly clock: Clock;
  readonly log: Logger;
  readonly health: Health;
  readonly metrics: Metrics;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly randomBytes: (length: number) => Uint8Array;
}
