/** The small CA: what it signs verifies with Node's own X.509 code, and names come from us alone. */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { describe, it } from "node:test";
import {
  createAuthority,
  createRequest,
  createRevocationList,
  issue,
  readCertificate,
  signRequest,
} from "../../../../common/pki/authority.ts";

const nowMs = Date.UTC(2026, 10, 22);
const validity = { nowMs, days: 30 };
const node = { role: "node", trustDomain: "twill", name: "n1" } as const;
const controller = { role: "controller", trustDomain: "twill", name: "c1" } as const;
const none = { dns: [], ip: [] };

describe("the certificate authority", () => {
  it("signs certificates that verify against it and carry the identity", async () => {
    const ca = await createAuthority("twill", validity);
    const altNames = { dns: ["n1.rack"], ip: ["10.99.0.1"] };
    const pair = await issue(ca, { identity: node, altNames, validity });
    const certificate = new X509Certificate(pair.certificatePem);
    const authority = new X509Certificate(ca.certificatePem);
    assert.ok(certificate.verify(authority.publicKey));
    assert.ok(certificate.checkIssued(authority));
    assert.equal(
      certificate.subjectAltName,
      "URI:spiffe://twill/node/n1, DNS:n1.rack, IP Address:10.99.0.1",
    );
    assert.equal(certificate.ca, false);
    assert.equal(readCertificate(pair.certificatePem).notAfterMs, nowMs + 30 * 86_400_000);
  });

  it("lets only controllers serve", async () => {
    const ca = await createAuthority("twill", validity);
    const uses = async (identity: typeof node | typeof controller): Promise<string[]> => {
      const pair = await issue(ca, { identity, altNames: none, validity });
      return new X509Certificate(pair.certificatePem).keyUsage ?? [];
    };
    const serverAuth = "1.3.6.1.5.5.7.3.1";
    assert.ok(!(await uses(node)).includes(serverAuth));
    assert.ok((await uses(controller)).includes(serverAuth));
  });

  it("takes only the key from a request, never its names", async () => {
    const ca = await createAuthority("twill", validity);
    const { csrPem, keyPem } = await createRequest("controller-of-everything");
    const pem = await signRequest(ca, csrPem, { identity: node, altNames: none, validity });
    const certificate = new X509Certificate(pem);
    assert.equal(certificate.subject, "CN=n1");
    assert.equal(certificate.subjectAltName, "URI:spiffe://twill/node/n1");
    const { createPrivateKey } = await import("node:crypto");
    assert.ok(certificate.checkPrivateKey(createPrivateKey(keyPem)));
  });

  it("refuses a request whose signature was tampered with", async () => {
    const ca = await createAuthority("twill", validity);
    const { csrPem } = await createRequest("n1");
    const other = await createRequest("n2");
    const lines = csrPem.split("\n");
    const theirs = other.csrPem.split("\n");
    const forged = [...lines.slice(0, 3), ...theirs.slice(3)].join("\n");
    await assert.rejects(
      signRequest(ca, forged, { identity: node, altNames: none, validity }),
      /./,
    );
  });

  it("writes files that may be put one after the other, as bundles of CAs are", async () => {
    const ca = await createAuthority("twill", validity);
    const pair = await issue(ca, { identity: node, altNames: none, validity });
    const { csrPem, keyPem } = await createRequest("n1");
    const list = await createRevocationList(ca, [], validity);
    for (const pem of [ca.certificatePem, ca.keyPem, pair.certificatePem, csrPem, keyPem, list]) {
      assert.match(pem, /^-----BEGIN [^\n]+\n[A-Za-z0-9+/=\n]+\n-----END [^\n]+-----\n$/);
    }
  });
});
