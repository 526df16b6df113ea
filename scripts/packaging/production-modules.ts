/**
 * Which of node_modules is shipped: what the lock names, is not for development, and is here
 * (npm leaves out what other platforms need); and of each, what a running program can load. Pure.
 */

/** Of packages that only hold types nothing is ever loaded. */
const TYPES_ONLY = /(^|\/)node_modules\/@types\//;
const NOT_LOADED = /\.(map|md|markdown|ts|mts|cts|tsbuildinfo|flow)$/i;
const NOT_LOADED_FOLDER =
  /^(test|tests|__tests__|doc|docs|example|examples|benchmark|bench|\.github)$/;

/** Paths such as "node_modules/etcd3", in the order of the lock. */
export function productionModules(
  lockText: string,
  isHere: (path: string) => boolean,
): readonly string[] {
  return Object.entries(packagesOf(lockText))
    .filter(([path]) => path.startsWith("node_modules/") && !TYPES_ONLY.test(path))
    .filter(([, entry]) => !isSet(entry, "dev") && !isSet(entry, "devOptional"))
    .filter(([path, entry]) => {
      if (isHere(path)) return true;
      if (isSet(entry, "optional")) return false;
      throw new Error(`${path} is not installed: run npm ci`);
    })
    .map(([path]) => path);
}

/** `path` is relative to the package's own folder. Licences stay, whatever they end in. */
export function isShipped(path: string, isFolder: boolean): boolean {
  const parts = path.split("/");
  const name = parts.at(-1) ?? "";
  if (isFolder)
    return name !== "node_modules" && !(parts.length === 1 && NOT_LOADED_FOLDER.test(name));
  return /^(licen[cs]e|copying|notice)/i.test(name) || !NOT_LOADED.test(name);
}

function packagesOf(lockText: string): Readonly<Record<string, unknown>> {
  const lock: unknown = JSON.parse(lockText);
  if (typeof lock === "object" && lock !== null && "packages" in lock) {
    const { packages } = lock;
    if (typeof packages === "object" && packages !== null) return { ...packages };
  }
  throw new Error("package-lock.json holds no packages");
}

function isSet(entry: unknown, flag: "dev" | "devOptional" | "optional"): boolean {
  return typeof entry === "object" && entry !== null && Reflect.get(entry, flag) === true;
}
