/** What a lab writes down about itself, for the commands that did not start it and for the one that cleans up after a crash. */
import { readFileSync, writeFileSync } from "node:fs";
import { identify, isIdentity, type ProcessIdentity } from "./process-identity.ts";
import { type Site, siteOf, stateFile } from "./site.ts";

export interface LabFile {
  /** The process that supervises the daemons. */
  readonly owner: ProcessIdentity;
  readonly etcdMembers: number;
}

export function writeLabFile(site: Site, etcdMembers: number): void {
  const owner = identify(process.pid);
  writeFileSync(stateFile(site), JSON.stringify({ owner, etcdMembers }));
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
  if (!("owner" in value && "etcdMembers" in value)) return false;
  return typeof value.etcdMembers === "number" && isIdentity(value.owner);
}
