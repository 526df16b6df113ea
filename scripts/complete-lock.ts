/** `npm run lock`: puts into package-lock.json what `npm ci` would miss (see package-lock.ts). */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { missingEntries, parseLock } from "./package-lock.ts";

const file = fileURLToPath(new URL("../../package-lock.json", import.meta.url));
const lock = parseLock(readFileSync(file, "utf8"));
const missing = missingEntries(lock.packages);
const packages = Object.entries({ ...lock.packages, ...Object.fromEntries(missing) });
// npm's own order.
packages.sort(([a], [b]) => a.localeCompare(b, "en"));
writeFileSync(
  file,
  `${JSON.stringify({ ...lock, packages: Object.fromEntries(packages) }, null, 2)}\n`,
);
process.stdout.write(`${missing.size} entries added to package-lock.json\n`);
