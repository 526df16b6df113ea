/**
 * The layout shows the architecture, and this test keeps it so: who may import whom, which
 * library has which single home, which folders are pure, and that every file says why it exists.
 */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize, relative } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const SOURCE_FOLDERS = ["common", "controller", "agent", "cli", "console", "proto", "scripts"];

/** Folders that may be imported besides the own one, and why no others. */
const ARROWS: Record<string, { may: readonly string[]; why: string }> = {
  proto: { may: [], why: "the protocol knows nobody" },
  common: { may: ["proto"], why: "the shared leaf imports neither side" },
  controller: { may: ["common", "proto"], why: "the sides meet only in proto/ and common/" },
  agent: { may: ["common", "proto"], why: "the sides meet only in proto/ and common/" },
  cli: { may: ["common", "proto"], why: "twillctl is a client of the controllers" },
  console: { may: ["common"], why: "the page runs in browsers and speaks JSON, not the protocol" },
  scripts: { may: ["common", "proto", "test"], why: "scripts start the daemons as processes" },
};

/** A library or node module and the only files that may import it. */
const HOMES: readonly { library: RegExp; homes: RegExp }[] = [
  { library: /^etcd3$/, homes: /^controller\/store\/etcd-/ },
  { library: /^netlink($|\/)/, homes: /^agent\/kernel\// },
  { library: /^koffi$/, homes: /^agent\/(kernel|tunnel)\// },
  { library: /^winston$/, homes: /^common\/log\.ts$/ },
  { library: /^preact($|\/)/, homes: /^console\/(main\.tsx|live\/|view\/)/ },
  { library: /^esbuild$/, homes: /^scripts\/build-console\.ts$/ },
  { library: /^prom-client$/, homes: /^common\/metrics\.ts$/ },
  {
    library: /^@grpc\//,
    homes:
      /^(controller\/rpc\/|controller\/store\/etcd-|agent\/rpc\/|cli\/|proto\/|common\/rpc\/|scripts\/)/,
  },
  {
    library: /^node:child_process$/,
    homes: /^(agent\/kernel\/command\.ts|common\/systemd\.ts|scripts\/)/,
  },
];

/** Pure: plain data in, plain data out; time, randomness and effects are arguments. */
const PURE =
  /^(common\/(net|config|lease|explain)\/|common\/async\/backoff|common\/console\/|console\/model\/|controller\/console\/(access|frame-ring|head|hops|known-origins|news|rows)|controller\/(view|auth|rpc\/limits)\/|controller\/change\/(backend-change|change|config-change|lease-changes|moved-nodes|node-changes|plan-change)\.|controller\/rollout\/next-step|controller\/watch\/|controller\/journal\/(journal-entry|journal-pen|missed|past|told-keys)|controller\/lease\/(allocate|decide|ledger|lease-book|min-heap|node-record|occupancy|transaction)|controller\/store\/(store|etcd-(options|errors|endpoints|retry|keys|transaction|watch-fold))\.ts|agent\/(plan|peers)\/|agent\/extension\/command-words|agent\/inspect\/(filter-|path-verdicts|peer-states|proc-counters)|agent\/probe\/(echo-packet|probe-book)|agent\/tunnel\/(packet\/|peer-table)|agent\/reconcile\/(delta-tracker|ownership|apply-order|diff|drift-book|other-objects|retry-book|repair-pace|link-decision|event-watch|board|report))/;
const EFFECTS =
  /\b(Date\.now|new Date\(|setTimeout|setInterval|setImmediate|process\.|performance\.|Math\.random|crypto\.|console\.)/;

const files = SOURCE_FOLDERS.flatMap((folder) => sourceFiles(join(root, folder)));

describe("the architecture", () => {
  it("lets files import only what their folder may", () => {
    const wrong = files.flatMap((file) =>
      imports(file)
        .filter((target) => target.startsWith("."))
        .map((target) => normalize(join(dirname(file), target)))
        .filter((target) => !mayImport(file, target))
        .map((target) => `${file} imports ${target}: ${ARROWS[top(file)]?.why}`),
    );
    assert.deepEqual(wrong, []);
  });

  it("keeps each library in its one home", () => {
    const wrong = files.flatMap((file) =>
      imports(file)
        .filter((target) => HOMES.some((h) => h.library.test(target) && !h.homes.test(file)))
        .filter(() => !file.startsWith("proto/gen/"))
        .map((target) => `${file} imports ${target}`),
    );
    assert.deepEqual(wrong, []);
  });

  it("keeps pure folders free of effects", () => {
    const pure = files.filter((file) => PURE.test(file));
    const wrong = pure.filter(
      (file) =>
        EFFECTS.test(withoutComments(read(file))) ||
        imports(file).some((target) => target.startsWith("node:")),
    );
    assert.deepEqual(wrong, []);
  });

  it("gives every file a header that says why it exists", () => {
    const headless = files.filter(
      (file) => !file.startsWith("proto/gen/") && !/^(#!.*\n)?\/\*\*/.test(read(file)),
    );
    assert.deepEqual(headless, []);
  });
});

function sourceFiles(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((entry) => /\.tsx?$/.test(entry) && !entry.includes("node_modules"))
    .map((entry) => relative(root, join(folder, entry)));
}

function read(file: string): string {
  return readFileSync(join(root, file), "utf8");
}

function imports(file: string): string[] {
  const statements = read(file).matchAll(/(?:^import|^export|\bimport\()[^;]*?["']([^"']+)["']/gm);
  return [...statements].map((match) => match[1] ?? "");
}

function top(file: string): string {
  return file.split("/")[0] ?? "";
}

function mayImport(file: string, target: string): boolean {
  return top(target) === top(file) || (ARROWS[top(file)]?.may.includes(top(target)) ?? false);
}

function withoutComments(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\//g, "").replaceAll(/\/\/.*$/gm, "");
}
