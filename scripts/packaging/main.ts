/** `scripts/package`: stages one tree, and makes of it the Debian package, the tarball, the npm package. */
import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { TwillError } from "../../common/errors.ts";
import { VERSION } from "../../common/version.ts";
import { makeNpmPackage, makeTarball } from "./archive.ts";
import { makeDebianPackage } from "./debian.ts";
import { stagePrefix } from "./prefix-tree.ts";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const KINDS = ["deb", "tar", "npm"];

const { values } = parseArgs({
  options: {
    out: { type: "string", default: join(root, "dist/package") },
    revision: { type: "string", default: "1" },
    compress: { type: "string", default: "gzip" },
    only: { type: "string", default: KINDS.join(",") },
  },
});
const wanted = values.only.split(",");
const unknown = wanted.filter((kind) => !KINDS.includes(kind));
if (unknown.length > 0 || !/^[0-9][0-9a-z.+~]*$/.test(values.revision)) {
  const message = `--only takes ${KINDS.join(",")}; --revision a number such as 1 or 1~test2`;
  throw new TwillError("OPTION_INVALID", message);
}

const work = await mkdtemp(join(tmpdir(), "twill-package-"));
try {
  await mkdir(values.out, { recursive: true });
  const lock = await readFile(join(root, "package-lock.json"), "utf8");
  const { out, revision, compress } = values;
  const job = { root, work, out, version: VERSION, revision, compress };
  if (wanted.includes("deb") || wanted.includes("tar")) await stagePrefix(job, lock);
  if (wanted.includes("deb")) say(await makeDebianPackage(job));
  if (wanted.includes("tar")) say(await makeTarball(job));
  if (wanted.includes("npm")) say(await makeNpmPackage(job));
} finally {
  await rm(work, { recursive: true, force: true });
}

function say(file: string): void {
  process.stdout.write(`${file}\n`);
}
