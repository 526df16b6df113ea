/** The units parse without a word from systemd, and expose less than 3.0 by its own measure. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";

const UNITS = fileURLToPath(new URL("../../../../deploy/systemd/", import.meta.url));
const NAMES = ["twill-controller.service", "twill-agent.service"];

/** The unit with a program that exists, so that only the unit itself can be wrong. */
function runnable(t: TestContext, name: string): string {
  const folder = mkdtempSync(join(tmpdir(), "twill-units-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, name);
  const text = readFileSync(join(UNITS, name), "utf8");
  writeFileSync(path, text.replace(/^ExecStart=.*$/m, "ExecStart=/bin/true"));
  return path;
}

function analyze(...args: string[]): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync("systemd-analyze", args, { encoding: "utf8" });
  return { status, output: `${stdout}${stderr}` };
}

describe("the systemd units", () => {
  for (const name of NAMES) {
    it(`${name} is understood completely by systemd`, (t) => {
      // An unknown value only warns and exits 0, so silence is asked for.
      const { status, output } = analyze("verify", "--man=no", runnable(t, name));
      assert.deepEqual({ status, output }, { status: 0, output: "" });
    });

    it(`${name} has an exposure below 3.0`, (t) => {
      const args = ["security", "--offline=true", "--threshold=29", "--no-pager"];
      const { status, output } = analyze(...args, runnable(t, name));
      assert.equal(status, 0, output.split("\n").at(-2));
    });
  }
});
