/** The tarball for machines without dpkg, and the npm package for those with their own Node. */
import { cp, mkdir, rename } from "node:fs/promises";
import { basename, join } from "node:path";
import { TwillError } from "../../common/errors.ts";
import { plainEnvironment, run } from "../testbed/command.ts";
import { type PackageJob, prefixOf } from "./job.ts";

const TIMEOUT_MS = 300_000;

/** One folder with bin, lib and share: runs where it lies, or is unpacked below /usr. */
export async function makeTarball(job: PackageJob): Promise<string> {
  const name = `twill-${job.version}-linux-${process.arch}`;
  const file = join(job.out, `${name}.tar.gz`);
  const renamed = `--transform=s,^prefix,${name},`;
  const owner = ["--owner=root:0", "--group=root:0", "--sort=name"];
  await run(["tar", "-C", job.work, ...owner, renamed, "-czf", file, basename(prefixOf(job))], {
    timeoutMs: TIMEOUT_MS,
  });
  return file;
}

/** Of what package.json's `files` names, and nothing else. */
export async function makeNpmPackage(job: PackageJob): Promise<string> {
  const folder = join(job.work, "npm");
  await mkdir(folder);
  const pack = [
    "npm",
    "pack",
    "--json",
    "--ignore-scripts",
    "--pack-destination",
    folder,
    job.root,
  ];
  const env = { ...plainEnvironment(), HOME: job.work };
  const said = await run(pack, { timeoutMs: TIMEOUT_MS, env });
  const name = /"filename":\s*"([^"]+)"/.exec(said)?.[1];
  if (name === undefined) throw new TwillError("BUG", `npm pack named no file: ${said}`);
  const file = join(job.out, name);
  await cp(join(folder, name), `${file}.new`);
  await rename(`${file}.new`, file);
  return file;
}
