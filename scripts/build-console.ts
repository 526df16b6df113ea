/**
 * Part of the build: the console's page as a handful of files in dist/console/page, which
 * controllers read at their start. Fonts and their licence come along, so that the page asks
 * no other host for anything.
 */
import { copyFileSync, mkdirSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("../../", import.meta.url));
const source = join(root, "console");
const page = join(root, "dist/console/page");

rmSync(page, { recursive: true, force: true });
mkdirSync(page, { recursive: true });
await build({
  entryPoints: { console: join(source, "main.tsx") },
  outdir: page,
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2023",
  tsconfig: join(source, "tsconfig.json"),
  logLevel: "warning",
});
await build({
  entryPoints: { console: join(source, "style/console.css") },
  outdir: page,
  bundle: true,
  minify: true,
  loader: { ".woff2": "file" },
  assetNames: "[name]",
  logLevel: "warning",
});
for (const name of ["index.html", "stitch.svg"]) copyFileSync(join(source, name), join(page, name));
const fonts = createRequire(import.meta.url).resolve("@fontsource/ibm-plex-mono/package.json");
copyFileSync(join(dirname(fonts), "LICENSE"), join(page, "fonts-licence.txt"));
