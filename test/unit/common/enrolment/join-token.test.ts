/** The word by which a machine joins, and what is believed because of it. */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  authorityFingerprint,
  formatJoinToken,
  isSecret,
  parseJoinToken,
  pinnedAuthorities,
  secretHash,
} from "../../../../common/enrolment/join-token.ts";
import { createAuthority } from "../../../../common/pki/authority.ts";

const TOKEN = {
  invite: "0123456789abcdef",
  secret: "s".repeat(43),
  authority: "a".repeat(43),
  address: "[fd00::1]:7475",
};

describe("a join token", () => {
  it("is one word that says everything, and survives the newline of its file", () => {
    const text = formatJoinToken(TOKEN);
    assert.match(text, /^twill1\.[A-Za-z0-9._-]+$/);
    assert.deepEqual(parseJoinToken(`${text}\n`), TOKEN);
  });

  it("is nothing when a piece of it is missing, too many, or no place to go to", () => {
    const text = formatJoinToken(TOKEN);
    const wrong = ["", "twill1", text.slice(0, -20), `${text}.x`, text.replace("twill1", "twill9")];
    for (const each of wrong) assert.equal(parseJoinToken(each), undefined, each);
    for (const address of ["host", "host:0", ":7475", ""]) {
      assert.equal(parseJoinToken(formatJoinToken({ ...TOKEN, address })), undefined, address);
    }
  });

  it("is read from any text without a fault", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        parseJoinToken(text);
        parseJoinToken(`twill1.0123456789abcdef.${"s".repeat(43)}.${text}`);
      }),
    );
  });

  it("is proven by its secret alone, of which only a hash is kept", () => {
    const hash = secretHash(TOKEN.secret);
    assert.ok(!hash.includes(TOKEN.secret));
    assert.ok(isSecret(TOKEN.secret, hash));
    assert.ok(!isSecret(`${TOKEN.secret}x`, hash));
    assert.ok(!isSecret(TOKEN.secret, ""));
  });

  it("picks the CA it names from a bundle, and nobody from a bundle of others", async () => {
    const validity = { nowMs: Date.UTC(2026, 10, 22), days: 1 };
    const [ours, theirs] = [
      await createAuthority("ours", validity),
      await createAuthority("ours", validity),
    ];
    const fingerprint = authorityFingerprint(new X509Certificate(ours.certificatePem));
    const bundle = theirs.certificatePem + ours.certificatePem;
    assert.equal(pinnedAuthorities(bundle, fingerprint), ours.certificatePem);
    assert.equal(pinnedAuthorities(theirs.certificatePem, fingerprint), "");
    assert.equal(pinnedAuthorities("no certificate", fingerprint), "");
  });
});
