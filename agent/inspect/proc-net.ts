/** Files below /proc/net, of the network namespace that the process is in. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";

/** Empty when this kernel has no such file. */
export async function readProcNet(name: string): Promise<string> {
  try {
    return await readFile(join("/proc/net", name), "utf8");
  } catch {
    return "";
  }
}
