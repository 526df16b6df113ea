/** `scripts/lab` as a person types it: the tour, and the verbs of a lab that stays. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { describe, it, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { isJsonObject } from "../../common/config/json-fields.ts";
import { type CommandResult, tryRun } from "../../scripts/testbed/command.ts";
import { readLabFile } from "../../scripts/testbed/lab-file.ts";
import { LineProcess } from "../../scripts/testbed/line-process.ts";
import { until } from "../../scripts/testbed/poll.ts";
import { isAlive, signalProcess } from "../../scripts/testbed/process-identity.ts";
import { siteOf } from "../../scripts/testbed/site.ts";

const MAIN = fileURLToPath(new URL("../../scripts/testbed/main.js", import.meta.url));

type LabCommand = (verb: string, ...args: readonly string[]) => Promise<CommandResult>;

/** The command with a lab name of its own, taken down after the test. */
function labCommand(t: TestContext, suffix: string): { name: string; lab: LabCommand } {
  const name = `t${process.pid}${suffix}`;
  const lab: LabCommand = (verb, ...args) =>
    tryRun([process.execPath, MAIN, ...(verb === "" ? [] : [verb]), "--name", name, ...args]);
  t.after(async () => void (await lab("down")));
  return { name, lab };
}

async function good(result: Promise<CommandResult>): Promise<string> {
  const { code, stdout, stderr } = await result;
  assert.equal(code, 0, `${stdout}\n${stderr}`);
  return stdout;
}

async function askJson(url: string): Promise<unknown> {
  const answer = await fetch(url, { signal: AbortSignal.timeout(10_000) });
  return answer.json();
}

/** Who is on the page that `lab console` opens. */
async function consoleNodes(name: string): Promise<readonly string[]> {
  let url: string | undefined;
  const argv = [MAIN, "console", "--name", name, "--port", "0"];
  const door = new LineProcess([process.execPath, ...argv], (line) => {
    url ??= /http:[^ ]+/.exec(line)?.[0];
  });
  try {
    return await until("all nodes are on the page", { deadlineMs: 30_000 }, async () => {
      if (url === undefined) return undefined;
      const snapshot: unknown = await askJson(`${url}api/snapshot`);
      const nodes = isJsonObject(snapshot) ? snapshot["nodes"] : undefined;
      const names = (Array.isArray(nodes) ? nodes : []).flatMap((node: unknown) =>
        isJsonObject(node) ? [String(node["node"])] : [],
      );
      return names.length === 3 ? names : undefined;
    });
  } finally {
    await door.end();
  }
}

describe("the lab command", () => {
  it("shows the main job and passes all its checks", async (t) => {
    const { name, lab } = labCommand(t, "tour");
    const text = await good(lab(""));
    assert.match(text, /all [0-9]+ checks passed\n$/);
    assert.match(text, /pings lost while nobody led +0 of [1-9]/);
    assert.ok(!existsSync(siteOf(name).folder));
  });

  it("keeps a lab to play with until it is taken down", async (t) => {
    const { name, lab } = labCommand(t, "up");
    await good(lab("up", "--nodes", "2", "--controllers", "1"));
    const config = await good(
      lab("exec", "etcd1", "--", "etcdctl", "get", "--prefix", "/coreos.com/network/config"),
    );
    assert.match(config, /"Network":"10.244.0.0\/16"/);
    assert.match(
      await good(lab("exec", "node1", "--", "cat", "/run/flannel/subnet.env")),
      /FLANNEL_MTU=1450/,
    );
    const nodes = await good(lab("exec", "node1", "--", "twillctl", "nodes"));
    assert.match(nodes, /^node2 .*10\.244\./m);
    assert.match(await good(lab("status")), /every kernel holds every lease/);
    assert.match(await good(lab("add")), /node3: pod1 has 10\.244\./);
    await good(lab("exec", "node1/pod1", "--", "ip", "route"));
    assert.deepEqual((await consoleNodes(name)).toSorted(), ["node1", "node2", "node3"]);
    await good(lab("kill", "controller1"));
    await good(lab("remove", "node3"));
    assert.match(await good(lab("logs", "controller1")), /"event":"process.started"/);
    const failed = await lab("exec", "node1", "--", "sh", "-c", "exit 7");
    assert.equal(failed.code, 7);
    const twice = await lab("up");
    assert.equal(twice.code, 2);
    assert.match(twice.stderr, /is up \(pid [0-9]+\)/);
    await good(lab("down"));
    assert.ok(!existsSync(siteOf(name).folder));
    assert.equal((await lab("status")).code, 2);
  });

  it("cleans up after a crash with the next up", async (t) => {
    const { name, lab } = labCommand(t, "crash");
    await good(lab("up", "--nodes", "1", "--controllers", "1"));
    const owner = readLabFile(name)?.owner;
    assert.ok(owner && signalProcess(owner, "SIGKILL"));
    await until("the supervisor is dead", { deadlineMs: 5_000 }, () =>
      isAlive(owner) ? undefined : true,
    );
    await good(lab("up", "--nodes", "1", "--controllers", "1"));
    assert.match(await good(lab("status")), /node1 .*running/);
  });

  it("names what is wrong with its arguments", async (t) => {
    const { lab } = labCommand(t, "wrong");
    const wrong = await lab("up", "--backend", "vxlam", "--nodes", "none");
    assert.equal(wrong.code, 2);
    assert.match(wrong.stderr, /did you mean vxlan\?/);
    assert.match(wrong.stderr, /--nodes: a number from 0 to 250, not "none"/);
  });
});
