/** The Debian package: the prefix below /usr, the configuration in /etc, and dpkg's own files. */
import { chmod, cp, mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "../testbed/command.ts";
import { type PackageJob, prefixOf } from "./job.ts";

const TIMEOUT_MS = 300_000;
/** Debian's names for Node's. */
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: "amd64", arm64: "arm64" };

export async function makeDebianPackage(job: PackageJob): Promise<string> {
  const tree = join(job.work, "deb");
  const dpkg = join(tree, "DEBIAN");
  await mkdir(dpkg, { recursive: true });
  await cp(prefixOf(job), join(tree, "usr"), { recursive: true });
  const settings = await stageSettings(job, join(tree, "etc/twill"));
  const paths = settings.map((name) => `/etc/twill/${name}\n`);
  await writeFile(join(dpkg, "conffiles"), paths.join(""));
  for (const name of await readdir(join(job.root, "deploy/debian"))) {
    await cp(join(job.root, "deploy/debian", name), join(dpkg, name));
    await chmod(join(dpkg, name), 0o755);
  }
  const size = await run(["du", "-sk", "--apparent-size", tree]);
  const architecture = ARCHITECTURES[process.arch] ?? process.arch;
  const kibibytes = Number.parseInt(size, 10);
  await writeFile(join(dpkg, "control"), control(job, architecture, kibibytes));
  const file = join(job.out, `twill_${job.version}-${job.revision}_${architecture}.deb`);
  const compress = `-Z${job.compress}`;
  await run(["dpkg-deb", "--root-owner-group", compress, "--build", tree, file], {
    timeoutMs: TIMEOUT_MS,
  });
  return file;
}

/** They may hold etcd's password: for root alone, as systemd reads them. */
async function stageSettings(job: PackageJob, folder: string): Promise<readonly string[]> {
  const from = join(job.root, "deploy/default");
  await mkdir(folder, { recursive: true });
  const names = (await readdir(from)).filter((name) => name.endsWith(".env"));
  for (const name of names) {
    await cp(join(from, name), join(folder, name));
    await chmod(join(folder, name), 0o600);
  }
  return names;
}

/** Node wants libstdc++; systemd-notify is how the daemons speak to systemd; nft or iptables filter. */
function control(job: PackageJob, architecture: string, kibibytes: number): string {
  return `Package: twill
Version: ${job.version}-${job.revision}
Architecture: ${architecture}
Maintainer: The Twill authors <twill@localhost>
Installed-Size: ${kibibytes}
Depends: libc6 (>= 2.28), libstdc++6, systemd, iptables | nftables
Recommends: nftables
Suggests: etcd-server, etcd-client, containernetworking-plugins
Section: net
Priority: optional
Description: one flat network for the containers of many machines
 flannel's etcd mode with an elected controller that streams leases to the
 nodes, and agents that keep each kernel equal to them and acknowledge it.
 Controller, agent and twillctl; brings its own Node.js. Neither daemon is
 started by installing: enable the one this machine shall run.
`;
}
