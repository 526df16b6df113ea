/** What `ip -batch` and `bridge -batch` take for the same changes: the other side of a comparison. */
import { execFileSync } from "node:child_process";
import type { KernelChange } from "../../../agent/kernel/kernel.ts";
import { formatCidr } from "../../../common/net/cidr.ts";
import { formatIp } from "../../../common/net/ip.ts";

/** Milliseconds; process start and making the text are part of that way's cost, as encoding is of ours. */
export function batchTimed(netns: string, changes: readonly KernelChange[]): number {
  const started = performance.now();
  const lines = { ip: [] as string[], bridge: [] as string[] };
  for (const change of changes) {
    lines[change.kind === "fdb" ? "bridge" : "ip"].push(batchLine(change));
  }
  for (const program of ["ip", "bridge"] as const) {
    const input = lines[program].join("\n");
    execFileSync(program, ["-n", netns, "-force", "-batch", "-"], { input });
  }
  return performance.now() - started;
}

export function batchLine(change: KernelChange): string {
  const verb = change.op === "put" ? "replace" : "del";
  switch (change.kind) {
    case "neighbour": {
      const { ip: address, mac: lladdr, device } = change.object;
      const state = change.op === "put" ? ` lladdr ${lladdr} nud permanent` : "";
      return `neigh ${verb} ${formatIp(address)}${state} dev ${device}`;
    }
    case "fdb": {
      const { mac: lladdr, remote, device } = change.object;
      return `fdb ${verb} ${lladdr} dst ${formatIp(remote)} dev ${device} self permanent`;
    }
    case "route": {
      const { destination, gateway, device, metric } = change.object;
      const via = gateway === undefined ? "" : ` via ${formatIp(gateway)}`;
      const extra = metric === undefined ? "" : ` metric ${metric}`;
      return `route ${verb} ${formatCidr(destination)}${via} dev ${device} onlink${extra}`;
    }
    default:
      throw new Error(`not measured: ${change.kind}`);
  }
}
