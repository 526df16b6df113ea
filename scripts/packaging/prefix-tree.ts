/** The tree that is installed below /usr: the three programs with their Node and their libraries. */
import { existsSync } from "node:fs";
import { chmod, cp, mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { basename, join, relative } from "node:path";
import { gzipSync } from "node:zlib";
import { completions, manualPages } from "./generated-files.ts";
import { libraryOf, type PackageJob, PROGRAMS, prefixOf } from "./job.ts";
import { isShipped, productionModules } from "./production-modules.ts";

/** What of dist/ runs; the console is there when the build made one. */
const CODE = ["agent", "cli", "common", "console", "controller", "proto"];

export async function stagePrefix(job: PackageJob, lockText: string): Promise<void> {
  const library = libraryOf(job);
  await mkdir(library, { recursive: true });
  // Debian 12's own Node is too old, so the one that built and tested this comes along.
  await cp(process.execPath, join(library, "node"));
  await cp(join(job.root, "package.json"), join(library, "package.json"));
  for (const folder of CODE)
    await copyLoaded(join(job.root, "dist", folder), join(library, "dist", folder));
  await cp(join(job.root, "proto/twill"), join(library, "proto/twill"), { recursive: true });
  for (const path of productionModules(lockText, (path) => existsSync(join(job.root, path)))) {
    await copyLoaded(join(job.root, path), join(library, path));
  }
  await cp(join(job.root, "scripts/mk-docker-opts.sh"), join(library, "mk-docker-opts.sh"));
  await stagePrograms(job);
  await stageShare(job);
}

async function copyLoaded(from: string, to: string): Promise<void> {
  if (!existsSync(from)) return;
  await cp(from, to, {
    recursive: true,
    dereference: true,
    filter: async (source) => {
      const path = relative(from, source);
      return path === "" || isShipped(path, (await stat(source)).isDirectory());
    },
  });
}

/** Each finds its Node beside it, wherever the tree was unpacked, also through a link to it. */
async function stagePrograms(job: PackageJob): Promise<void> {
  await mkdir(join(prefixOf(job), "bin"));
  for (const { name, folder } of PROGRAMS) {
    const file = join(prefixOf(job), "bin", name);
    const text = `#!/bin/sh\nhome=$(readlink -f "$0")\nhome=\${home%/bin/*}/lib/twill\nexec "$home/node" "$home/dist/${folder}/main.js" "$@"\n`;
    await writeFile(file, text);
    await chmod(file, 0o755);
  }
}

async function stageShare(job: PackageJob): Promise<void> {
  const { root } = job;
  const prefix = prefixOf(job);
  await cp(join(root, "deploy/systemd"), join(prefix, "lib/systemd/system"), { recursive: true });
  await put(
    prefix,
    "lib/sysusers.d/twill.conf",
    await readFile(join(root, "deploy/sysusers.conf")),
  );
  await cp(join(root, "deploy/default"), join(prefix, "share/twill"), { recursive: true });
  // For /etc, by hand: what a machine's network services leave alone is its owner's choice.
  for (const service of ["networkd", "networkmanager"]) {
    await cp(join(root, "deploy", service), join(prefix, "share/twill", service), {
      recursive: true,
    });
  }
  await cp(join(root, "docs"), join(prefix, "share/doc/twill"), { recursive: true });
  await put(prefix, "share/doc/twill/copyright", await copyright(root));
  const changes = gzipSync(await readFile(join(root, "CHANGELOG.md")), { level: 9 });
  await put(prefix, "share/doc/twill/changelog.gz", changes);
  for (const [path, text] of [...(await manualPages(root)), ...(await completions(root))]) {
    await put(prefix, path, text);
  }
}

/** Ours whole; those of Node and of every library lie beside their code. */
async function copyright(root: string): Promise<string> {
  const licence = await readFile(join(root, "LICENSE"), "utf8");
  return `Twill, Apache-2.0. /usr/lib/twill/node is Node.js (MIT, https://nodejs.org/); the licence of\neach library lies in its folder below /usr/lib/twill/node_modules.\n\n${licence}`;
}

async function put(prefix: string, path: string, content: string | Uint8Array): Promise<void> {
  const file = join(prefix, path);
  await mkdir(file.slice(0, -basename(file).length), { recursive: true });
  await writeFile(file, content);
}
