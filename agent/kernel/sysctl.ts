/**
 * Reads and writes kernel parameters under /proc/sys. A parameter is named by its parts and not
 * by dots, because names of interfaces have dots of their own ("flannel.1").
 */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { TwillError } from "../../common/errors.ts";

/** ["net", "ipv6", "conf", "flannel.1", "accept_ra"] */
export type SysctlName = readonly [string, string, ...string[]];

export interface Sysctl {
  /** Its text without the final newline; undefined: this kernel has no such parameter. */
  read(name: SysctlName): Promise<string | undefined>;
  /** False: this kernel has no such parameter. */
  write(name: SysctlName, value: string): Promise<boolean>;
}

const PROC_SYS = "/proc/sys";

/** Of the network namespace that the process is in; `root` is for tests. */
export function procSysctl(root = PROC_SYS): Sysctl {
  return {
    read: (name) =>
      orAbsent(name, "read", async () => (await readFile(fileOf(root, name), "utf8")).trimEnd()),
    write: async (name, value) => {
      const written = await orAbsent(name, "write", async () => {
        // Opened without creating: a file that is not there is a parameter that is not there.
        await writeFile(fileOf(root, name), `${value}\n`, { flag: "r+" });
        return true;
      });
      return written ?? false;
    },
  };
}

/** As sysctl(8) writes it: a dot within a part becomes a slash. */
export function formatSysctl(name: SysctlName): string {
  return name.map((part) => part.replaceAll(".", "/")).join(".");
}

function fileOf(root: string, name: SysctlName): string {
  for (const part of name) {
    if (part === "" || part === "." || part === ".." || part.includes("/")) {
      throw new TwillError("BUG", `"${part}" is no part of a kernel parameter's name`);
    }
  }
  return join(root, ...name);
}

async function orAbsent<T>(
  name: SysctlName,
  verb: "read" | "write",
  use: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await use();
  } catch (error) {
    const code: unknown = error instanceof Error ? Reflect.get(error, "code") : undefined;
    if (code === "ENOENT") return undefined;
    if (error instanceof TwillError) throw error;
    const hint = code === "EROFS" ? ": /proc/sys is read-only here, set it on the host" : "";
    const message = `cannot ${verb} kernel parameter ${formatSysctl(name)}: ${String(code)}${hint}`;
    throw new TwillError("FILE_FAILED", message, { cause: error });
  }
}
