/** iperf3 between two namespaces: server, one client run, its result in numbers. */
import { spawn } from "node:child_process";
import { run } from "../../scripts/testbed/command.ts";
import { until } from "../../scripts/testbed/poll.ts";
import { execIn, inNamespace } from "./tunnel-bed.ts";

export interface IperfResult {
  /** What arrived. */
  readonly bitsPerSecond: number;
  readonly retransmits: number;
  /** UDP only. */
  readonly packetsPerSecond: number;
  readonly lostShare: number;
}

/** Runs the client with `options` against a server in the other namespace. */
export async function iperf(
  from: { readonly namespace: string },
  to: { readonly namespace: string; readonly ip: string },
  options: readonly string[],
): Promise<IperfResult> {
  const words = inNamespace(to.namespace, ["iperf3", "-s", "-1"]);
  const [file = "", ...args] = ["setpriv", "--pdeathsig", "KILL", "--", ...words];
  const server = spawn(file, args, { stdio: "ignore" });
  const ended = new Promise<void>((resolve) => {
    server.once("close", () => resolve());
  });
  try {
    await until("iperf3 listens", { deadlineMs: 10_000, everyMs: 20 }, async () => {
      const listening = await execIn(to.namespace, ["ss", "-Hltn", "sport = :5201"]);
      return listening.stdout.includes(":5201") ? true : undefined;
    });
    // iperf3 waits for ever when its control connection dies.
    const client = ["timeout", "-s", "KILL", "60", "iperf3", "-J", "-c", to.ip, ...options];
    return resultOf(await run(inNamespace(from.namespace, client)));
  } finally {
    server.kill("SIGKILL");
    await ended;
  }
}

interface IperfEnd {
  readonly end: {
    readonly sum?: { packets: number; seconds: number; lost_packets: number };
    readonly sum_sent?: { retransmits?: number };
    readonly sum_received?: { bits_per_second: number };
  };
}

function resultOf(json: string): IperfResult {
  // iperf3's own JSON.
  const { end } = JSON.parse(json) as IperfEnd;
  const { packets = 0, seconds = 1, lost_packets: lost = 0 } = end.sum ?? {};
  return {
    bitsPerSecond: end.sum_received?.bits_per_second ?? 0,
    retransmits: end.sum_sent?.retransmits ?? 0,
    packetsPerSecond: (packets - lost) / seconds,
    lostShare: packets === 0 ? 0 : lost / packets,
  };
}
