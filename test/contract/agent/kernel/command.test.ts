/** Other programs, run for real. */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { commandRunner } from "../../../../agent/kernel/command.ts";
import { TwillError } from "../../../../common/errors.ts";
import { until } from "../../../../scripts/testbed/poll.ts";

const DEADLINE = { deadlineMs: 20_000, everyMs: 20 };
const { signal } = new AbortController();
const run = commandRunner(process.env["PATH"]);

describe("a command", () => {
  it("gets its arguments as they are, without a shell", async () => {
    const { stdout } = await run(["printf", "%s|", "a b", "$HOME", "; false", "*"], { signal });
    assert.equal(stdout, "a b|$HOME|; false|*|");
  });

  it("gets text on its standard input, or an end of file", async () => {
    const text = "line\n".repeat(100_000);
    assert.equal((await run(["cat"], { signal, stdin: text })).stdout, text);
    assert.equal((await run(["cat"], { signal })).stdout, "");
  });

  it("may end without reading its input", async () => {
    const { exitCode } = await run(["true"], { signal, stdin: "x".repeat(1 << 20) });
    assert.equal(exitCode, 0);
  });

  it("gets a fixed locale, a path with the sbin folders, what is asked for, and no more", async () => {
    const { stdout } = await run(["env"], { signal, environment: { SUBNET: "10.1.0.0/24" } });
    const names = stdout
      .trim()
      .split("\n")
      .map((line) => line.split("=")[0]);
    assert.deepEqual(names.sort(), ["LC_ALL", "PATH", "SUBNET"]);
    assert.match(stdout, /^LC_ALL=C$/m);
    assert.match(stdout, /^PATH=.*\/usr\/sbin/m);
    const bare = await commandRunner(undefined)(["env"], { signal });
    assert.match(bare.stdout, /^PATH=\/usr\/local\/sbin:.*\/sbin/m);
  });

  it("fails with its arguments, exit code and what it said", async () => {
    const failing = run(["sh", "-c", "echo out; echo why >&2; exit 3"], { signal });
    await assert.rejects(failing, (error) => {
      assert.ok(error instanceof TwillError);
      assert.equal(error.code, "COMMAND_FAILED");
      assert.match(error.message, /"sh -c echo out; .*" failed: exit code 3: why$/);
      assert.equal(error.context["stderr"], "why");
      return true;
    });
  });

  it("may answer by its exit code", async () => {
    const answer = await run(["sh", "-c", "echo out; exit 1"], { signal, accept: [0, 1] });
    assert.deepEqual(answer.exitCode, 1);
    assert.equal(answer.stdout, "out\n");
    await assert.rejects(run(["sh", "-c", "exit 2"], { signal, accept: [0, 1] }), /exit code 2/);
  });

  it("that does not exist, or may not be run, is named with the way out", async () => {
    await assert.rejects(run(["no-such-program"], { signal }), {
      code: "COMMAND_FAILED",
      message: /there is no program "no-such-program": install it, or add it to PATH/,
    });
    await assert.rejects(run(["/etc/passwd"], { signal }), /"\/etc\/passwd" may not be run/);
    await assert.rejects(run(["printf", "a\0b"], { signal }), { code: "COMMAND_FAILED" });
  });

  it("is killed when it takes too long, its children's open pipes notwithstanding", async () => {
    const slow = run(["sh", "-c", "sleep 600 & wait"], { signal, timeoutMs: 50 });
    await assert.rejects(slow, /it was killed \(it may take 50 ms\)/);
  });

  it("takes its children with it when it is killed or aborted, and leaves a daemon that it made", async (t) => {
    const folder = mkdtempSync(join(tmpdir(), "twill-command-"));
    t.after(() => rmSync(folder, { recursive: true }));
    const family = (name: string): [string, ...string[]] => {
      const file = join(folder, name);
      return ["sh", "-c", `sh -c 'echo $$ > ${file}; exec sleep 600' & wait`];
    };
    const childOf = (name: string): Promise<number> =>
      until(`${name} has a child`, DEADLINE, () => {
        const pid = Number(existsSync(join(folder, name)) && readFileSync(join(folder, name)));
        return pid > 0 ? pid : undefined;
      });
    const isGone = (pid: number): Promise<true> =>
      until(`${pid} is gone`, DEADLINE, () => (existsSync(`/proc/${pid}`) ? undefined : true));

    await assert.rejects(run(family("slow"), { signal, timeoutMs: 2_000 }), /it was killed/);
    await isGone(await childOf("slow"));
    const stop = new AbortController();
    const running = run(family("aborted"), { signal: stop.signal });
    const child = await childOf("aborted");
    stop.abort(new Error("enough"));
    await assert.rejects(running, /enough/);
    await isGone(child);

    const daemon = "sleep 600 > /dev/null 2>&1 < /dev/null & echo $!";
    const { stdout } = await run(["sh", "-c", daemon], { signal });
    assert.ok(existsSync(`/proc/${Number(stdout)}`));
    process.kill(Number(stdout), "SIGKILL");
  });

  it("is killed when it says too much", async () => {
    await assert.rejects(run(["yes"], { signal }), /it wrote more than [0-9]+ bytes/);
  });

  it("ends with the signal's reason when aborted, before or meanwhile", async () => {
    const reason = new Error("enough");
    await assert.rejects(run(["true"], { signal: AbortSignal.abort(reason) }), reason);
    const stop = new AbortController();
    const running = run(["sleep", "600"], { signal: stop.signal });
    stop.abort(reason);
    await assert.rejects(running, reason);
  });
});
