/** Revocation lists: whose word counts, and which certificates they name. */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { describe, it } from "node:test";
import {
  createAuthority,
  createRevocationList,
  issue,
  type KeyPair,
  readCertificate,
} from "../../../../common/pki/authority.ts";
import { certificateId, readRevocationLists } from "../../../../common/pki/revocation-list.ts";

const nowMs = Date.UTC(2026, 10, 22);
const validity = { nowMs, days: 30 };
const identity = { role: "node", trustDomain: "twill", name: "n1" } as const;
const altNames = { dns: [], ip: [] };

function certificateOf(authority: KeyPair): Promise<KeyPair> {
  return issue(authority, { identity, altNames, validity });
}

async function listOf(authority: KeyPair, ...revoked: readonly KeyPair[]): Promise<string> {
  const serials = revoked.map(({ certificatePem }) => readCertificate(certificatePem).serial);
  return createRevocationList(authority, serials, validity);
}

function idOf({ certificatePem }: KeyPair): string {
  return certificateId(new X509Certificate(certificatePem));
}

describe("revocation lists", () => {
  it("name the certificates they revoke, and say when they are due", async () => {
    const ca = await createAuthority("twill", validity);
    const [bad, good] = [await certificateOf(ca), await certificateOf(ca)];
    const list = await readRevocationLists(await listOf(ca, bad), ca.certificatePem);
    assert.ok(list.revoked.has(idOf(bad)));
    assert.ok(!list.revoked.has(idOf(good)));
    assert.equal(list.nextUpdateMs, nowMs + 30 * 86_400_000);
  });

  it("of several CAs stand in one file, as CAs do while they are rotated", async () => {
    const [before, after] = [
      await createAuthority("twill", validity),
      await createAuthority("twill", validity),
    ];
    const [old, young] = [await certificateOf(before), await certificateOf(after)];
    const lists = (await listOf(before, old)) + (await listOf(after, young));
    const bundle = before.certificatePem + after.certificatePem;
    const { revoked } = await readRevocationLists(lists, bundle);
    assert.deepEqual([...revoked].sort(), [idOf(old), idOf(young)].sort());
  });

  it("revoke nothing of another CA's that happens to have the same number", async () => {
    const [ours, theirs] = [
      await createAuthority("ours", validity),
      await createAuthority("theirs", validity),
    ];
    const bad = await certificateOf(theirs);
    const bundle = ours.certificatePem + theirs.certificatePem;
    const { revoked } = await readRevocationLists(await listOf(ours, bad), bundle);
    assert.equal(revoked.size, 1);
    assert.ok(!revoked.has(idOf(bad)));
  });

  it("of a CA that is not trusted are refused, and so is what is no list", async () => {
    const [ca, other] = [
      await createAuthority("twill", validity),
      await createAuthority("twill", validity),
    ];
    const list = await listOf(other, await certificateOf(other));
    await assert.rejects(
      readRevocationLists(list, ca.certificatePem),
      /not signed by a trusted CA/,
    );
    await assert.rejects(readRevocationLists("no PEM", ca.certificatePem), /no PEM block/);
  });
});
