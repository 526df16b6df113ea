/** What a lab writes down about itself, for the commands that did not start it and for the one that cleans up after a crash. */
import { readFileSync, writeFileSync } from "node:fs";
import type { Servers } from "./operator-environment.ts";
import { identify, isIdentity, type ProcessIdentity } from "./process-identity.ts";
import { type Site, siteOf, stateFile } from "./site.ts";

export interface LabFile extends Servers {
  /** The process that supervises the daemons. */
  readonly owner: ProcessIdentity;
}

export function writeLabFile(
  site: Site,
  { etcdMembers, controllers, insecure = false }: Servers,
): void {
  const owner = identify(process.pid);
  writeFileSync(stateFile(site), JSON.stringify({ owner, etcdMembers, controllers, insecure }));
}

/** undefined when there is no such lab, or it died before it wrote. */
export function readLabFile(name: string): LabFile | undefined {
  try {
    const parsed: unknown = JSON.parse(readFileSync(stateFile(siteOf(name)), "utf8"));
    return isLabFile(parsed) ? parsed : undefined;
  } catch {
    return undefined;
  }
}

function isLabFile(value: unknown): value is LabFile {
  if (typeof value !== "object" || value === null) return false;
  if (!("owner" in value && "etcdMembers" in value && "controllers" in value)) return false;
  const { owner, etcdMembers, controllers } = value;
  return typeof etcdMembers === "number" && typeof controllers === "number" && isIdentity(owner);
}
