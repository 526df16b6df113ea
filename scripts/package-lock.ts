/**
 * Why this exists: `npm install` behind a mirror that carries only some platforms writes a
 * package-lock.json without the others' optional packages, and `npm ci` then refuses it on
 * every machine. What is missing follows from the lock itself: the version is pinned by the
 * package that wants it, the platform is in the name. Without an integrity hash npm takes
 * the registry's; that concerns only platforms the lock's writer could not see.
 */
import { TwillError } from "../common/errors.ts";

export interface LockEntry {
  readonly version?: string;
  readonly dev?: boolean;
  readonly optional?: boolean;
  readonly os?: readonly string[];
  readonly cpu?: readonly string[];
  readonly libc?: readonly string[];
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

export type LockEntries = Readonly<Record<string, LockEntry>>;

export interface Lock {
  readonly packages: LockEntries;
}

/** The lock's JSON; throws when it is another format. */
export function parseLock(text: string): Lock {
  const parsed: unknown = JSON.parse(text);
  if (isLock(parsed)) return parsed;
  throw new TwillError("FILE_FAILED", "package-lock.json has no packages: not lockfileVersion 3");
}

function isLock(value: unknown): value is Lock {
  return typeof value === "object" && value !== null && "packages" in value;
}

const PLATFORM =
  /[-/](android|darwin|freebsd|linux|netbsd|openbsd|openharmony|sunos|win32)-([a-z0-9]+)(?:-([a-z]+))?$/;

/** Entries that `npm ci` would miss, by their path in the lock. */
export function missingEntries(entries: LockEntries): Map<string, LockEntry> {
  const missing = new Map<string, LockEntry>();
  for (const [path, entry] of Object.entries(entries)) {
    for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
      const places = [`${path}/node_modules/${name}`, `node_modules/${name}`];
      if (places.some((place) => Object.hasOwn(entries, place))) continue;
      missing.set(`node_modules/${name}`, platformEntry(name, version, entry.dev ?? false));
    }
  }
  return missing;
}

function platformEntry(name: string, version: string, isDev: boolean): LockEntry {
  const [, os, cpu, abi] = PLATFORM.exec(name) ?? [];
  return {
    version,
    ...(cpu === undefined ? {} : { cpu: [cpu] }),
    ...(isDev ? { dev: true } : {}),
    ...libcOf(abi),
    optional: true,
    ...(os === undefined ? {} : { os: [os] }),
  };
}

function libcOf(abi: string | undefined): Pick<LockEntry, "libc"> {
  if (abi?.startsWith("musl") === true) return { libc: ["musl"] };
  return abi?.startsWith("gnu") === true ? { libc: ["glibc"] } : {};
}
