/** What `lab status` prints. */
import { isLeaseOf } from "./kernel-view.ts";
import type { Lab } from "./lab.ts";
import { table } from "./report.ts";

export async function statusLines(lab: Lab): Promise<string[]> {
  const leader = await lab.leader().catch(() => undefined);
  const leases = await lab.registry.leases().catch(() => undefined);
  const rows = lab.machines.map((machine) => {
    const unit = lab.units.find((one) => one.machine === machine);
    const lease = leases?.find((one) => isLeaseOf(one, machine.id));
    const pod = lab.pods.find((one) => one.machine === machine);
    return [
      machine.name,
      machine.id.ip,
      unit === undefined ? "-" : `${unit.state}${unit.starts > 1 ? ` (start ${unit.starts})` : ""}`,
      String(unit?.pid ?? "-"),
      unit !== undefined && unit === leader ? "leads" : (lease?.subnet ?? ""),
      pod === undefined ? "" : `${pod.name} ${pod.ip}`,
    ];
  });
  const lines = table([["machine", "address", "daemon", "pid", "holds", "pod"], ...rows]);
  if (leases === undefined) return [...lines, "", "etcd does not answer"];
  const found = await lab.differences();
  const verdict = found.length === 0 ? ["every kernel holds every lease"] : found;
  return [...lines, "", ...verdict];
}
