/**
 * Removing everything of ours from a kernel, and only that: one pass of the reconciler towards
 * nothing, so that ownership is judged where it always is, and the packet-filter rules of both
 * modes.
 */
import { TwillError } from "../../common/errors.ts";
import { type Cidr, formatCidr } from "../../common/net/cidr.ts";
import type { RunCommand } from "../kernel/command.ts";
import { noFirewall } from "../plan/firewall.ts";
import { IptablesBackend } from "./iptables-backend.ts";
import { NftBackend } from "./nft-backend.ts";
import { Reconciler, type ReconcilerPorts } from "./reconciler.ts";
import type { PassReport } from "./report.ts";

export type CleanUpPorts = Omit<ReconcilerPorts, "report"> & { readonly run: RunCommand };

export interface Remains {
  /** Overlay networks of this machine's runs: what lies in them is ours. */
  readonly networks: readonly Cidr[];
  /** Devices that runs of this machine made, by name: ours also when they have no address. */
  readonly devices: readonly string[];
}

/** Throws KERNEL_REFUSED or COMMAND_FAILED, naming what stays; everything else is removed. */
export async function cleanUp(
  ports: CleanUpPorts,
  remains: Remains,
  signal: AbortSignal,
): Promise<void> {
  const report = await removeObjects(ports, remains, signal);
  const { networks } = remains;
  const plan = noFirewall(networks);
  await new IptablesBackend(ports.run).clear(plan, signal);
  await new NftBackend(ports.run).clear(plan, signal);
  const [failure] = report.failures;
  if (failure === undefined) return;
  const { kind, key, code, message } = failure;
  const more = report.failureCount > 1 ? `, and ${report.failureCount - 1} more` : "";
  const where = networks.map(formatCidr).join(", ");
  throw new TwillError("KERNEL_REFUSED", `${kind} ${key} stays: ${code} ${message}${more}`, {
    context: { networks: where },
  });
}

/** An empty plan that counts as in sync may delete. */
async function removeObjects(
  ports: CleanUpPorts,
  { networks, devices }: Remains,
  signal: AbortSignal,
): Promise<PassReport> {
  const done = new AbortController();
  const stop = (): void => done.abort(signal.reason);
  signal.addEventListener("abort", stop, { once: true });
  let last: PassReport | undefined;
  const reconciler = new Reconciler({
    ...ports,
    report: (report) => {
      last = report;
      done.abort();
    },
  });
  const stamp = { position: undefined, isInSync: true, receivedMs: ports.clock.monotonicMs() };
  reconciler.plan({ kind: "whole", links: [], objects: [], networks, pastDevices: devices, stamp });
  try {
    await reconciler.run(done.signal);
  } catch (error) {
    signal.throwIfAborted();
    if (last === undefined) throw error;
  } finally {
    signal.removeEventListener("abort", stop);
  }
  if (last === undefined) throw new TwillError("BUG", "a pass ended without a report");
  return last;
}
