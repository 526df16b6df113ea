/** The thread of a packet loop; ends with the loop, and says why when it was not told to. */
import { parentPort, workerData } from "node:worker_threads";
import { TwillError } from "../../common/errors.ts";
import { runPacketLoop } from "./packet-loop.ts";
import type { LoopSetup } from "./packet-path.ts";

// Untyped by node; the one sender is udp-tunnel.ts, which makes a LoopSetup.
const setup = workerData as LoopSetup;

try {
  parentPort?.postMessage({ kind: "running" });
  runPacketLoop(setup);
} catch (error) {
  const { code, message } = TwillError.from(error);
  parentPort?.postMessage({ kind: "failed", code, message });
}
