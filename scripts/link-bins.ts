/** Part of the build: the programs of package.json by their names in dist/bin, as an installation would have them. */
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { TwillError } from "../common/errors.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const folder = join(root, "dist/bin");
mkdirSync(folder, { recursive: true });
for (const [name, target] of programs(readFileSync(join(root, "package.json"), "utf8"))) {
  const program = join(root, target);
  const link = join(folder, name);
  rmSync(link, { force: true });
  if (!existsSync(program)) continue;
  chmodSync(program, 0o755);
  symlinkSync(relative(folder, program), link);
}

function programs(packageJson: string): [string, string][] {
  const parsed: unknown = JSON.parse(packageJson);
  if (typeof parsed === "object" && parsed !== null && "bin" in parsed) {
    const { bin } = parsed;
    if (typeof bin === "object" && bin !== null) {
      return Object.entries(bin).map(([name, target]) => [name, String(target)]);
    }
  }
  throw new TwillError("BUG", "package.json names no programs");
}
