/** The thread of one packet loop; ends with the loop, and says why when it was not told to. */
import { parentPort, workerData } from "node:worker_threads";
import { TwillError } from "../../common/errors.ts";
import { EgressLoop } from "./egress-loop.ts";
import { IngressLoop } from "./ingress-loop.ts";
import type { LoopSetup } from "./loop-context.ts";

// Untyped by node; the one sender is udp-tunnel.ts, which makes a LoopSetup.
const setup = workerData as LoopSetup;

try {
  const loop = setup.direction === "egress" ? new EgressLoop(setup) : new IngressLoop(setup);
  parentPort?.postMessage({ kind: "running" });
  loop.run();
} catch (error) {
  const { code, message } = TwillError.from(error);
  parentPort?.postMessage({ kind: "failed", code, message });
}
