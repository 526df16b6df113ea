/**
 * Plays a container runtime: runs the plugins of a CNI configuration list one after another,
 * as the CNI specification (1.0, section 4) has it, each with the result of the one before.
 */
import type { Machine } from "./machine.ts";

const CNI_FOLDER = "/usr/lib/cni";

/** What a runtime knows of a container's published ports. */
export interface PortMapping {
  readonly hostPort: number;
  readonly containerPort: number;
  readonly protocol: "tcp" | "udp";
}

export interface CniCall {
  readonly machine: Machine;
  readonly pod: string;
  /** JSON text of the list. */
  readonly list: string;
  readonly portMappings?: readonly PortMapping[];
}

interface CniList {
  readonly cniVersion: string;
  readonly name: string;
  readonly plugins: readonly {
    readonly type: string;
    readonly capabilities?: Readonly<Record<string, boolean>>;
  }[];
}

/** Adds the container to the network; what the last plugin answered. */
export async function addToNetwork(call: CniCall): Promise<string> {
  // The list is ours, or the agent's under test; a wrong one fails in the plugins.
  const list = JSON.parse(call.list) as CniList;
  let result: unknown;
  for (const plugin of list.plugins) {
    result = JSON.parse(
      await run(call, "ADD", { ...plugin, ...commonOf(list), prevResult: result }),
    );
  }
  return JSON.stringify(result);
}

/** Takes the container out again, last plugin first. */
export async function removeFromNetwork(call: CniCall): Promise<void> {
  const list = JSON.parse(call.list) as CniList;
  for (const plugin of list.plugins.toReversed()) {
    await run(call, "DEL", { ...plugin, ...commonOf(list) });
  }
}

function commonOf({ cniVersion, name }: CniList): Pick<CniList, "cniVersion" | "name"> {
  return { cniVersion, name };
}

function run(
  { machine, pod, portMappings = [] }: CniCall,
  command: "ADD" | "DEL",
  plugin: CniList["plugins"][number] & { readonly prevResult?: unknown },
): Promise<string> {
  const runtimeConfig = plugin.capabilities?.["portMappings"] ? { portMappings } : undefined;
  const env = {
    ...machine.env,
    CNI_COMMAND: command,
    CNI_CONTAINERID: pod,
    CNI_NETNS: `/run/netns/${pod}`,
    CNI_IFNAME: "eth0",
    CNI_PATH: CNI_FOLDER,
  };
  const input = JSON.stringify({ ...plugin, runtimeConfig });
  return machine.exec([`${CNI_FOLDER}/${plugin.type}`], { env, input });
}
