/** `twillctl pki` on a real folder: files, modes, register, revocation, rotation, refusals. */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import {
  type IssueOptions,
  initAuthority,
  issueCertificate,
  revokeCertificates,
  rotateCertificates,
} from "../../../../cli/pki/pki-commands.ts";
import { PkiDir } from "../../../../cli/pki/pki-dir.ts";
import { readRevocationLists } from "../../../../common/pki/revocation-list.ts";

const nowMs = Date.UTC(2026, 10, 22);

async function newCa(t: TestContext): Promise<PkiDir> {
  const path = await mkdtemp(join(tmpdir(), "twill-pki-"));
  t.after(() => rm(path, { recursive: true }));
  const dir = new PkiDir(path);
  await initAuthority(dir, { trustDomain: "rack1", days: 100, nowMs });
  return dir;
}

function request(role: string, name: string, more: Partial<IssueOptions> = {}): IssueOptions {
  return { role, name, admin: false, dns: [], ip: [], days: 30, out: undefined, nowMs, ...more };
}

describe("twillctl pki", () => {
  it("keeps private keys readable by their owner only", async (t) => {
    const dir = await newCa(t);
    await issueCertificate(dir, request("node", "n1"));
    for (const key of ["ca.key", "node-n1.key"]) {
      assert.equal((await stat(join(dir.path, key))).mode & 0o777, 0o600, key);
    }
    assert.equal((await stat(join(dir.path, "node-n1.crt"))).mode & 0o777, 0o644);
  });

  it("refuses to overwrite a CA", async (t) => {
    const dir = await newCa(t);
    const again = initAuthority(dir, { trustDomain: "rack1", days: 1, nowMs });
    await assert.rejects(again, /holds a CA already/);
  });

  it("says what to do when there is no CA", async () => {
    const missing = issueCertificate(new PkiDir("/nonexistent/pki"), request("node", "n1"));
    await assert.rejects(missing, /twillctl pki init/);
  });

  it("refuses unknown roles, names with slashes, admin nodes and wrong addresses", async (t) => {
    const dir = await newCa(t);
    await assert.rejects(issueCertificate(dir, request("king", "n1")), /use node, controller/);
    await assert.rejects(issueCertificate(dir, request("node", "a/b")), /is no name/);
    await assert.rejects(issueCertificate(dir, request("node", "n1", { admin: true })), /--admin/);
    await assert.rejects(issueCertificate(dir, request("node", "n1", { ip: ["10.1"] })), /no IP/);
    assert.deepEqual(await dir.issued(), []);
  });

  it("revokes every valid certificate of an identity and lists it in crl.pem", async (t) => {
    const dir = await newCa(t);
    await issueCertificate(dir, request("node", "n1"));
    await issueCertificate(dir, request("node", "n1"));
    await issueCertificate(dir, request("node", "n10"));
    await revokeCertificates(dir, { which: "node/n1", nowMs });
    const issued = await dir.issued();
    assert.deepEqual(
      issued.map((record) => record.revokedMs > 0),
      [true, true, false],
    );
    const crl = await readFile(join(dir.path, "crl.pem"), "utf8");
    const { certificatePem } = await dir.authority();
    assert.equal((await readRevocationLists(crl, certificatePem)).revoked.size, 2);
    await assert.rejects(revokeCertificates(dir, { which: "node/n1", nowMs }), /no valid/);
  });

  it("rotates what is valid and leaves out what is revoked or expired", async (t) => {
    const dir = await newCa(t);
    await issueCertificate(dir, request("node", "n1", { ip: ["10.0.0.1"] }));
    await issueCertificate(dir, request("node", "old", { days: 1 }));
    await issueCertificate(dir, request("node", "bad"));
    await revokeCertificates(dir, { which: "node/bad", nowMs });
    const later = nowMs + 5 * 86_400_000;
    const lines = await rotateCertificates(dir, {
      days: 30,
      nowMs: later,
      reissue: (record) =>
        request("node", record.identity.split("/").at(-1) ?? "", {
          nowMs: later,
          ip: record.addresses,
        }),
    });
    assert.equal(lines.length, 1);
    assert.deepEqual((await dir.issued()).at(-1)?.addresses, ["10.0.0.1"]);
  });
});
