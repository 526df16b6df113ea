/**
 * A base image without a network: the files of some installed Debian packages of this machine with
 * all that they depend on, and Twill as `scripts/package` makes it, in /opt/twill, where
 * deploy/Dockerfile looks for a built one.
 */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { run, tryRun } from "../../../scripts/testbed/command.ts";
import type { DockerEngine } from "./engine.ts";

const MAIN = fileURLToPath(new URL("../../../scripts/packaging/main.js", import.meta.url));
const PACKAGES = [
  ...["base-files", "bash", "coreutils", "dash", "grep", "gzip", "hostname", "libc-bin", "mawk"],
  ...["libstdc++6", "procps", "sed", "tar", "util-linux"],
  ...["etcd-server", "etcd-client", "iproute2", "iptables", "iputils-ping", "nftables"],
];
/** Made by the packages' scripts, or by nobody. */
const MADE_LATER = ["/bin", "/sbin", "/lib", "/lib64", "/tmp", "/etc/passwd", "/etc/group"];
const ALTERNATIVES = ["/usr/bin/awk", "/etc/ld.so.cache", ...filterPrograms()];
const NOT_NEEDED = /^\/usr\/share\/(doc|info|locale|man|zoneinfo)\//;
const SLOW = { timeoutMs: 300_000 };

export async function importBaseImage(engine: DockerEngine, name: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "twill-base-"));
  try {
    const image = join(folder, "base.tar");
    writeFileSync(join(folder, "list"), await fileList());
    const from = ["-C", "/", "--no-recursion", "--ignore-failed-read", "-T", join(folder, "list")];
    await run(["tar", "-cf", image, ...from], SLOW);
    await addTwill(folder, image);
    await engine.run("docker", "import", image, name);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function addTwill(folder: string, image: string): Promise<void> {
  await run([process.execPath, MAIN, "--only", "tar", "--out", folder], SLOW);
  const tarball = readdirSync(folder).find((file) => file.endsWith(".tar.gz")) ?? "";
  const home = join(folder, "tree/opt/twill");
  mkdirSync(home, { recursive: true });
  await run(["tar", "-xzf", join(folder, tarball), "-C", home, "--strip-components=1"], SLOW);
  await run(["tar", "-C", join(folder, "tree"), "-rf", image, "./opt/twill"], SLOW);
}

/** Below ".", one a line. /bin and the like are links: what lies in them is listed below /usr. */
async function fileList(): Promise<string> {
  const kinds = ["recommends", "suggests", "conflicts", "breaks", "replaces", "enhances"];
  const options = ["--recurse", "--installed", ...kinds.map((kind) => `--no-${kind}`)];
  const closure = await run(["apt-cache", "depends", ...options, ...PACKAGES]);
  const packages = closure.split("\n").filter((line) => /^[a-z0-9]/.test(line));
  // Virtual packages have no files; dpkg says so and lists the rest.
  const { stdout } = await tryRun(["dpkg", "-L", ...packages]);
  const links = await run(["find", "/etc/alternatives"]);
  const listed = [...stdout.split("\n"), ...links.split("\n"), ...MADE_LATER, ...ALTERNATIVES]
    .filter((path) => path.startsWith("/") && path !== "/." && !NOT_NEEDED.test(path))
    .map((path) => path.replace(/^\/(bin|sbin|lib|lib64)\//, "/usr/$1/"));
  return `${[...new Set(listed)]
    .sort()
    .map((path) => `.${path}`)
    .join("\n")}\n`;
}

function filterPrograms(): string[] {
  const forms = ["", "-save", "-restore"];
  return ["iptables", "ip6tables"].flatMap((name) =>
    forms.map((form) => `/usr/sbin/${name}${form}`),
  );
}
