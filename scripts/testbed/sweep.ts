/**
 * Removes what is left of a lab, whoever made it and however it ended: processes (found by
 * the lab's own namespaces, so that no other is ever signalled), namespaces, mounts, files.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { tryRun } from "./command.ts";
import { readLabFile } from "./lab-file.ts";
import { killAllOn } from "./machine.ts";
import { until } from "./poll.ts";
import { isAlive, processesIn } from "./process-identity.ts";
import { closeSite, labsFolder, siteOf } from "./site.ts";
import { isLabName, namespacePrefix } from "./topology.ts";

const KILL_MS = 10_000;

/** Nothing of the lab is left afterwards; true when something had been. */
export async function sweep(name: string): Promise<boolean> {
  const site = siteOf(name);
  const mounted = isMountPoint(site.folder);
  const namespaces = namespacesOf(name);
  const uts = listFolder(join(site.folder, "machines")).map((machine) =>
    join(site.folder, "machines", machine, "uts"),
  );
  const files = [...uts, ...namespaces.map((namespace) => join("/run/netns", namespace))];
  await until(`processes of lab ${name} are gone`, { deadlineMs: KILL_MS, everyMs: 5 }, () => {
    killAllOn(files);
    const left = [...processesIn("uts", files), ...processesIn("net", files)];
    return left.length === 0 ? true : undefined;
  });
  for (const namespace of namespaces) await tryRun(["ip", "netns", "del", namespace]);
  await closeSite(site, mounted);
  return mounted || namespaces.length > 0;
}

/** Labs whose supervisor is dead. */
export function abandonedLabs(): string[] {
  return listFolder(labsFolder())
    .filter(isLabName)
    .filter((name) => {
      const file = readLabFile(name);
      return file !== undefined && !isAlive(file.owner);
    });
}

function namespacesOf(name: string): string[] {
  return listFolder("/run/netns").filter((entry) => entry.startsWith(namespacePrefix(name)));
}

function isMountPoint(folder: string): boolean {
  return readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .some((line) => line.split(" ")[4] === folder);
}

function listFolder(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder) : [];
}
