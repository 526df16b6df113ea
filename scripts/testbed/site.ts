/**
 * Where one lab lives: a private tmpfs that holds everything it writes (machines' disks,
 * etcd's data, logs), so that one umount removes it all, and memory-speed fsync for etcd.
 */
import { mkdirSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { run } from "./command.ts";

/** Each lab has a folder of its own below this. */
export function labsFolder(): string {
  return process.env["TWILL_LAB_DIR"] || "/run/twill-lab";
}

export interface Site {
  readonly name: string;
  readonly folder: string;
}

export function siteOf(name: string): Site {
  return { name, folder: join(labsFolder(), name) };
}

export async function openSite(name: string): Promise<Site> {
  const site = siteOf(name);
  mkdirSync(site.folder, { recursive: true, mode: 0o755 });
  await run(["mount", "-t", "tmpfs", "-o", "mode=755", `twill-lab-${name}`, site.folder]);
  // What is bound below it is nobody else's business.
  await run(["mount", "--make-private", site.folder]);
  for (const folder of ["logs", "machines"]) mkdirSync(join(site.folder, folder));
  return site;
}

/** Unmounts and removes the lab's folder, and the folder of all labs when it was the last. */
export async function closeSite(site: Site, mounted: boolean): Promise<void> {
  if (mounted) await run(["umount", "--lazy", "--recursive", site.folder]);
  for (const folder of [site.folder, labsFolder()]) {
    try {
      rmdirSync(folder);
    } catch {
      // Not ours alone, or never made.
    }
  }
}

export function logFile(site: Site, name: string): string {
  return join(site.folder, "logs", `${name}.log`);
}

export function stateFile(site: Site): string {
  return join(site.folder, "lab.json");
}

export function controlSocket(site: Site): string {
  return join(site.folder, "control.sock");
}

/** What the supervisor of `lab up` says when it has no terminal any more. */
export function supervisorLog(name: string): string {
  return join(labsFolder(), `${name}.supervisor.log`);
}
