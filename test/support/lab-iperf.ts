/** iperf3 in a lab, where only success is asked for: a server in a pod, a client wherever wanted. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import type { CommandResult } from "../../scripts/testbed/command.ts";
import type { Pod } from "../../scripts/testbed/pods.ts";
import { until } from "../../scripts/testbed/poll.ts";

/** iperf3 waits for ever when its control connection dies. */
const CLIENT = ["timeout", "-s", "KILL", "20", "iperf3", "-n", "4M"];

/** `client` runs the words given to it, plus whom to connect to. */
export async function iperfPasses(
  server: Pod,
  client: (argv: readonly string[]) => Promise<CommandResult>,
): Promise<void> {
  const [file = "", ...args] = server.machine.enter(["iperf3", "-s"], server.name);
  const child = spawn("setpriv", ["--pdeathsig", "KILL", "--", file, ...args], {
    stdio: "ignore",
  });
  const ended = once(child, "close");
  try {
    const what = `iperf3 to ${server.name} of ${server.machine.name} passes`;
    await until(what, { deadlineMs: 30_000 }, async () =>
      (await client(CLIENT)).code === 0 ? true : undefined,
    );
  } finally {
    child.kill("SIGKILL");
    await ended;
  }
}

/** From pod to pod, by its own address. */
export function iperfBetween(from: Pod, to: Pod): Promise<void> {
  return iperfPasses(to, (argv) =>
    from.machine.tryExecInPod(from.name, [...argv, "-B", from.ip, "-c", to.ip]),
  );
}
