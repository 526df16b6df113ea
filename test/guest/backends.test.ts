/**
 * ipip and wireguard on a real kernel that has them: one guest (scripts/guest) plays all
 * scenarios (test/support/guest/scenarios.ts), and what it says is judged here.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { assertGolden } from "../support/golden.ts";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const SCENARIOS = fileURLToPath(new URL("../support/guest/scenarios.js", import.meta.url));
/** The variants show that their kernel is right; how it lives they share with the first. */
const VARIANTS = ["ipip-direct", "wireguard-dual"];
const BACKENDS = ["ipip", "wireguard", ...VARIANTS];

interface Result {
  readonly name: string;
  readonly ok: boolean;
  readonly found: string;
}

const why = await cannotPlay();

describe(
  "in a guest whose kernel has ipip and wireguard",
  why === undefined ? {} : { skip: why },
  () => {
    const results = why === undefined ? play() : Promise.resolve(new Map<string, Result>());
    const found = async (name: string): Promise<string> => {
      const all = await results;
      const result = all.get(name);
      assert.ok(
        result,
        `"${name}" was not played; the guest said: ${[...all.values()]
          .filter(({ ok }) => !ok)
          .map((one) => `${one.name}: ${one.found}`)
          .join("; ")}`,
      );
      assert.ok(result.ok, result.found);
      return result.found;
    };

    for (const backend of BACKENDS) {
      describe(backend, () => {
        it("pods reach each other both ways, in every family they have", async () => {
          const families = backend.endsWith("dual") ? 2 : 1;
          assert.equal(await found(`${backend} pods`), `${families} ${families}`);
        });

        it("hosts reach pods from the device's own address", async () => {
          await found(`${backend} hosts`);
        });

        it("leases and kernels hold what real flannel would have put there", async () => {
          assertGolden(`guest/${backend}.txt`, `${await found(`${backend} kernel`)}\n`);
        });

        if (VARIANTS.includes(backend)) return;

        it("not one of a hundred pings a second is lost while agents restart and die", async (t) => {
          t.diagnostic(await found(`${backend} restart`));
        });

        it("what somebody takes away comes back", async (t) => {
          t.diagnostic(await found(`${backend} drift`));
        });

        it("iperf3 passes", async (t) => {
          t.diagnostic(await found(`${backend} iperf`));
        });
      });
    }
  },
);

/** undefined: the guest's kernel is there (scripts/test makes it beforehand). */
async function cannotPlay(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return "needs root";
  const { code, stderr } = await guest(["--check"], () => undefined);
  return code === 0 ? undefined : stderr.trim();
}

async function play(): Promise<ReadonlyMap<string, Result>> {
  const results = new Map<string, Result>();
  const argv = ["-t", "560", "--", process.execPath, SCENARIOS];
  const { code, stderr } = await guest(argv, (line) => {
    const result = JSON.parse(line) as Result;
    results.set(result.name, result);
  });
  if (code !== 0) results.set("guest", { name: "guest", ok: false, found: stderr.slice(-2_000) });
  return results;
}

async function guest(
  argv: readonly string[],
  onLine: (line: string) => void,
): Promise<{ readonly code: number | null; readonly stderr: string }> {
  const child = spawn(join(ROOT, "scripts", "guest"), argv, {
    cwd: dirname(ROOT),
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stderr = "";
  child.stderr.on("data", (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  createInterface({ input: child.stdout }).on("line", onLine);
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, stderr }));
  });
}
