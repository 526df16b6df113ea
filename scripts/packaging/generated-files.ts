/** Files of the package that the programs write themselves: manual pages and shell completions. */
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { run, tryRun } from "../testbed/command.ts";

type NamedFile = readonly [path: string, content: string | Uint8Array];

const PAGES = [
  { page: "man8/twill-controller.8", args: ["controller/main.js", "help", "--man"] },
  { page: "man8/twill-agent.8", args: ["agent/main.js", "help", "--man"] },
  { page: "man1/twillctl.1", args: ["cli/main.js", "man"] },
] as const;

/** Where each shell looks for the completions of packages. */
const SHELLS = [
  { shell: "bash", path: "share/bash-completion/completions/twillctl" },
  { shell: "zsh", path: "share/zsh/vendor-completions/_twillctl" },
  { shell: "fish", path: "share/fish/vendor_completions.d/twillctl.fish" },
] as const;

export async function manualPages(root: string): Promise<readonly NamedFile[]> {
  return Promise.all(
    PAGES.map(async ({ page, args: [main, ...rest] }): Promise<NamedFile> => {
      const text = await run([process.execPath, join(root, "dist", main), ...rest]);
      return [`share/man/${page}.gz`, gzipSync(text, { level: 9 })];
    }),
  );
}

/** Of the shells that this twillctl knows. */
export async function completions(root: string): Promise<readonly NamedFile[]> {
  const twillctl = [process.execPath, join(root, "dist/cli/main.js")];
  const files: NamedFile[] = [];
  for (const { shell, path } of SHELLS) {
    const { code, stdout } = await tryRun([...twillctl, "completion", shell]);
    if (code === 0 && stdout !== "") files.push([path, stdout]);
  }
  return files;
}
