/** What containers are told is written whole, last the CNI list, and only when it has changed. */
import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import type { SubnetEnv } from "../../../../agent/host/subnet-env.ts";
import { SubnetFile } from "../../../../agent/node/subnet-file.ts";
import { parseCidr } from "../../../../common/net/cidr.ts";
import { LogCapture } from "../../../support/log-capture.ts";

const [NETWORK, SUBNET] = [parseCidr("10.50.0.0/16"), parseCidr("10.50.53.0/24")];
assert.ok(NETWORK && SUBNET);
const ENV: SubnetEnv = {
  v4: { network: NETWORK, subnet: SUBNET },
  v6: undefined,
  mtuBytes: 1450,
  ipMasq: true,
};

async function folderFor(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "twill-hand-off-"));
  t.after(() => rm(folder, { recursive: true }));
  return folder;
}

describe("what containers are told", () => {
  it("is subnet.env alone unless a CNI list is asked for", async (t) => {
    const folder = await folderFor(t);
    const subnetFile = join(folder, "subnet.env");
    const file = new SubnetFile({ subnetFile, cniConfDir: undefined }, new LogCapture());
    assert.equal(await file.write(ENV), undefined);
    assert.deepEqual(await readdir(folder), ["subnet.env"]);
  });

  it("is not written again by the next run when nothing has changed", async (t) => {
    const folder = await folderFor(t);
    const paths = { subnetFile: join(folder, "subnet.env"), cniConfDir: join(folder, "net.d") };
    const list = join(folder, "net.d", "10-twill.conflist");
    const log = new LogCapture();
    await new SubnetFile(paths, log).write(ENV);
    const before = await stat(list);
    assert.equal(before.mode & 0o777, 0o644);
    const again = new SubnetFile(paths, log);
    await again.write(ENV);
    assert.equal((await stat(list)).ino, before.ino);
    assert.equal(log.of("file.written").length, 2);
    await again.write({ ...ENV, mtuBytes: 1400 });
    assert.match(await readFile(list, "utf8"), /"mtu": 1400/);
  });

  it("holds the CNI list back while subnet.env cannot be written", async (t) => {
    const folder = await folderFor(t);
    const subnetFile = join(folder, "subnet.env");
    await mkdir(subnetFile);
    const log = new LogCapture();
    const file = new SubnetFile({ subnetFile, cniConfDir: join(folder, "net.d") }, log);
    assert.equal(await file.write(ENV), subnetFile);
    assert.deepEqual(await readdir(folder), ["subnet.env"]);
    await rm(subnetFile, { recursive: true });
    assert.equal(await file.write(ENV), undefined);
  });

  it("names the file that cannot be written", async (t) => {
    const folder = await folderFor(t);
    await writeFile(join(folder, "net.d"), "a file where a folder should be");
    const cniConfDir = join(folder, "net.d");
    const log = new LogCapture();
    const file = new SubnetFile({ subnetFile: join(folder, "subnet.env"), cniConfDir }, log);
    assert.equal(await file.write(ENV), join(cniConfDir, "10-twill.conflist"));
    assert.match(log.of("file.failed")[0]?.message ?? "", /10-twill\.conflist/);
  });
});
