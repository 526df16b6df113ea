/** Real signals, real faults, real exit codes, and a log that is whole to its last line. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { isJsonObject, type JsonObject } from "../../../common/config/json-fields.ts";

const fixture = fileURLToPath(new URL("../../support/fixtures/sample-daemon.js", import.meta.url));

interface Daemon {
  readonly child: ChildProcess;
  readonly output: () => { stdout: string; events: JsonObject[] };
  readonly ended: Promise<[code: number | null, signal: string | null]>;
}

async function start(mode: string): Promise<Daemon> {
  const child = spawn(process.execPath, [fixture, mode], { stdio: ["ignore", "pipe", "pipe"] });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk: Buffer) => {
    stdout += String(chunk);
  });
  child.stderr.on("data", (chunk: Buffer) => {
    stderr += String(chunk);
  });
  const ended = once(child, "close").then(([code, signal]): [number | null, string | null] => [
    typeof code === "number" ? code : null,
    typeof signal === "string" ? signal : null,
  ]);
  await once(child.stdout, "data");
  const events = (): JsonObject[] => stderr.trim().split("\n").map(parseLine);
  return { child, ended, output: () => ({ stdout, events: events() }) };
}

describe("a process with a lifecycle", () => {
  it("ends in order with 0 at SIGTERM", async () => {
    const { child, ended, output } = await start("run");
    child.kill("SIGTERM");
    assert.deepEqual(await ended, [0, null]);
    const { stdout, events } = output();
    assert.equal(stdout, "started\nclosed\n");
    assert.deepEqual(
      events.map((event) => event["event"]),
      ["process.stopping", "process.stopped"],
    );
  });

  it("ends at once at the second signal", async () => {
    const { child, ended } = await start("hang");
    child.kill("SIGTERM");
    await once(child.stderr ?? child, "data");
    child.kill("SIGINT");
    assert.deepEqual(await ended, [130, null]);
  });

  it("ends with 1 and the reason when it fails", async () => {
    const { ended, output } = await start("fail");
    assert.deepEqual(await ended, [1, null]);
    const [failed] = output().events;
    assert.equal(failed?.["event"], "process.failed");
    assert.equal(failed?.["code"], "CONFIG_INVALID");
  });

  for (const mode of ["reject", "throw"]) {
    it(`ends with 70 and the stack at a fault that nobody handles (${mode})`, async () => {
      const { ended, output } = await start(mode);
      assert.deepEqual(await ended, [70, null]);
      const [failed] = output().events;
      assert.equal(failed?.["code"], "BUG");
      assert.match(String(failed?.["error"]), /nobody/);
      assert.match(String(failed?.["stack"]), /sample-daemon/);
    });
  }

  it("outlives the reader of its log", async () => {
    const { child, ended } = await start("run");
    child.stderr?.destroy();
    child.kill("SIGTERM");
    assert.deepEqual(await ended, [0, null]);
  });
});

function parseLine(line: string): JsonObject {
  const parsed: unknown = JSON.parse(line);
  assert.ok(isJsonObject(parsed), line);
  return parsed;
}
