/** Kernel parameters over a folder that looks like /proc/sys. */
import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { formatSysctl, procSysctl, type SysctlName } from "../../../../agent/kernel/sysctl.ts";

const NAME: SysctlName = ["net", "ipv6", "conf", "flannel.1", "accept_ra"];

describe("kernel parameters", () => {
  it("are read and written by their parts, dots in an interface's name included", async (t) => {
    const root = await tree(t);
    const sysctl = procSysctl(root);
    assert.equal(await sysctl.read(NAME), "1");
    assert.equal(await sysctl.write(NAME, "0"), true);
    assert.equal(await sysctl.read(NAME), "0");
    assert.equal(await readFile(join(root, ...NAME), "utf8"), "0\n");
  });

  it("that this kernel does not have are told absent, and never made", async (t) => {
    const root = await tree(t);
    const sysctl = procSysctl(root);
    const absent: SysctlName = ["net", "ipv6", "conf", "flannel.9", "accept_ra"];
    assert.equal(await sysctl.read(absent), undefined);
    assert.equal(await sysctl.write(absent, "0"), false);
    assert.equal(await sysctl.read(absent), undefined);
  });

  it("are named in errors as sysctl(8) names them", async (t) => {
    const root = await tree(t);
    assert.equal(formatSysctl(NAME), "net.ipv6.conf.flannel/1.accept_ra");
    await assert.rejects(procSysctl(root).read(["net", "ipv6", "conf", "flannel.1"]), {
      code: "FILE_FAILED",
      message: "cannot read kernel parameter net.ipv6.conf.flannel/1: EISDIR",
    });
  });

  it("cannot name anything outside", async (t) => {
    const sysctl = procSysctl(await tree(t));
    for (const part of ["..", ".", "", "a/b"]) {
      await assert.rejects(sysctl.read(["net", part]), { code: "BUG" });
      await assert.rejects(sysctl.write(["net", part], "0"), { code: "BUG" });
    }
  });
});

async function tree(t: TestContext): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), "twill-sysctl-"));
  t.after(() => rm(root, { recursive: true }));
  await mkdir(join(root, ...NAME.slice(0, -1)), { recursive: true });
  await writeFile(join(root, ...NAME), "1\n");
  return root;
}
