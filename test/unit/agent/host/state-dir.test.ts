/** What survives a restart, and what a damaged state directory costs (nothing). */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { writeFileAtomic } from "../../../../agent/host/atomic-file.ts";
import { StateDir } from "../../../../agent/host/state-dir.ts";
import type { EventName } from "../../../../common/events.ts";
import { type Logger, silentLogger } from "../../../../common/log.ts";

const DEVICE = { name: "flannel.1", vni: 1 };
const TABLE = {
  node: "node-1",
  instance: "cafe",
  revision: 42,
  configRevision: 7,
  configJson: "{}",
  ownKey: "",
  leases: [],
};

let folder = "";
let events: EventName[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "twill-state-"));
  events = [];
});
afterEach(() => rm(folder, { recursive: true, force: true }));

function open(random: number, path = folder): StateDir {
  const log: Logger = { event: (name) => events.push(name), child: () => silentLogger };
  return new StateDir({ path, log, randomBytes: () => new Uint8Array(6).fill(random) });
}

describe("the state directory", () => {
  it("keeps the MAC of each device over restarts", async () => {
    const first = await open(1).macFor(DEVICE, []);
    assert.equal(first, "02:01:01:01:01:01");
    assert.equal(await open(2).macFor(DEVICE, []), first);
    assert.equal(await open(3).macFor({ name: "flannel-v6.1", vni: 1 }, []), "02:03:03:03:03:03");
    assert.deepEqual(events, []);
  });

  it("makes a MAC anew when its file is damaged, and says so", async () => {
    await writeFile(join(folder, "vtep-macs"), "flannel.1 zz\n");
    assert.equal(await open(4).macFor(DEVICE, []), "06:04:04:04:04:04");
    assert.deepEqual(events, ["state.ignored"]);
    assert.match(await readFile(join(folder, "vtep-macs"), "utf8"), /^flannel\.1 06:04/);
  });

  it("gives a MAC even when the folder cannot be written, and says so", async () => {
    await writeFile(join(folder, "file"), "");
    const state = open(1, join(folder, "file", "state"));
    assert.equal(await state.macFor(DEVICE, []), "02:01:01:01:01:01");
    assert.ok(events.includes("state.unwritable"));
  });

  it("keeps the table, closed to other users, for the node it belongs to", async () => {
    await open(1).writeTable(TABLE);
    assert.deepEqual(await open(1).readTable("node-1"), TABLE);
    assert.equal((await stat(join(folder, "table"))).mode & 0o777, 0o600);
    assert.equal(await open(1).readTable("node-2"), undefined);
    assert.deepEqual(events, ["state.ignored"]);
  });

  it("has no table before the first was written, silently, and none when it is torn", async () => {
    assert.equal(await open(1).readTable("node-1"), undefined);
    assert.deepEqual(events, []);
    await open(1).writeTable(TABLE);
    const text = await readFile(join(folder, "table"), "utf8");
    await writeFile(join(folder, "table"), text.slice(0, 40));
    assert.equal(await open(1).readTable("node-1"), undefined);
    assert.deepEqual(events, ["state.ignored"]);
  });

  it("forgets everything on purge, also twice", async () => {
    const state = open(1);
    await state.macFor(DEVICE, []);
    await state.writeTable(TABLE);
    await state.purge();
    await state.purge();
    assert.equal(await state.readTable("node-1"), undefined);
    assert.equal(await open(9).macFor(DEVICE, []), "0a:09:09:09:09:09");
  });
});

describe("an atomic write", () => {
  it("makes the folder, sets the mode whatever the umask is, and leaves no temporary file", async () => {
    const before = process.umask(0o077);
    try {
      const path = join(folder, "run", "subnet.env");
      await writeFileAtomic(path, "A=1\n", 0o644);
      await writeFileAtomic(path, "A=2\n", 0o644);
      assert.equal(await readFile(path, "utf8"), "A=2\n");
      assert.equal((await stat(path)).mode & 0o777, 0o644);
      await assert.rejects(stat(join(folder, "run", ".subnet.env.tmp")));
    } finally {
      process.umask(before);
    }
  });

  it("names the file when it cannot be written, and keeps the old one", async () => {
    await writeFile(join(folder, "plain"), "");
    await assert.rejects(writeFileAtomic(join(folder, "plain", "x"), "", 0o644), /plain\/x/);
  });
});
