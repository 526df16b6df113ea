/**
 * The process behind `lab up`: holds the lab, starts daemons again that die, and does what
 * the other verbs ask. It ends with the lab.
 */
import { once } from "node:events";
import { TwillError } from "../../common/errors.ts";
import { type Request, serveControl } from "./control.ts";
import { dumpDiagnostics } from "./diagnostics.ts";
import { Lab, POD } from "./lab.ts";
import type { Settings } from "./settings.ts";
import { controlSocket } from "./site.ts";
import { statusLines } from "./status.ts";

/** Starts the lab, tells by `ready` that commands are welcome, and returns when it was taken down. */
export async function supervise(
  settings: Settings,
  say: (line: string) => void,
  ready: () => void,
): Promise<void> {
  await using lab = await Lab.start({ ...settings, onStep: say });
  try {
    for (const node of lab.nodes) await addPodOn(lab, node.name, say);
    await lab.waitConverged();
  } catch (error) {
    say(`logs, etcd and kernels are kept in ${await dumpDiagnostics(lab)}`);
    throw error;
  }
  const down = new AbortController();
  const server = await serveControl(controlSocket(lab.site), async (request, tell) => {
    if (request.verb === "down") down.abort();
    else await obey(lab, request, tell);
  });
  process.once("SIGTERM", () => down.abort());
  ready();
  if (!down.signal.aborted) await once(down.signal, "abort");
  server.close();
}

async function obey(lab: Lab, { verb, args }: Request, say: (line: string) => void): Promise<void> {
  const [first = "", second = ""] = args;
  switch (verb) {
    case "status":
      for (const line of await statusLines(lab)) say(line);
      return;
    case "add": {
      const node = await lab.addNode(first === "" ? undefined : first);
      await addPodOn(lab, node.name, say);
      return;
    }
    case "remove":
      await lab.removeNode(first);
      return;
    case "kill":
      await lab.unit(first).crash({ restart: second !== "stay-dead" });
      return;
    case "stop":
      await lab.unit(first).stop();
      return;
    case "start":
      lab.unit(first).start();
      return;
    case "cut":
      await lab.cut(first, second);
      return;
    case "heal":
      await lab.underlay.healAll();
      return;
    default:
      throw new TwillError("OPTION_INVALID", `this lab is of another build: it knows no "${verb}"`);
  }
}

async function addPodOn(lab: Lab, node: string, say: (line: string) => void): Promise<void> {
  const pod = await lab.addPod(lab.machine(node));
  say(`${node}: ${POD} has ${pod.ip}`);
}
