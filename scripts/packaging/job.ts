/** What every step of the packaging knows, and where in the staged tree things are. */
import { join } from "node:path";

export interface PackageJob {
  /** The repository, built. */
  readonly root: string;
  /** A folder of this run alone. */
  readonly work: string;
  /** Where the results go. */
  readonly out: string;
  readonly version: string;
  /** Of the Debian package: the same Twill, packaged again. */
  readonly revision: string;
  /** Of the Debian package, as dpkg-deb calls it: gzip, xz, none. */
  readonly compress: string;
}

export const PROGRAMS = [
  { name: "twill-controller", folder: "controller" },
  { name: "twill-agent", folder: "agent" },
  { name: "twillctl", folder: "cli" },
] as const;

/** What lies below /usr once installed: bin, lib, share. */
export function prefixOf(job: PackageJob): string {
  return join(job.work, "prefix");
}

/** Node, our code and the libraries, below the prefix. */
export function libraryOf(job: PackageJob): string {
  return join(prefixOf(job), "lib/twill");
}
