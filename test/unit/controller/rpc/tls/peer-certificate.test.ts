/** Whether a certificate that was good at the handshake still counts. */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { describe, it } from "node:test";
import { createAuthority, issue } from "../../../../../common/pki/authority.ts";
import { certificateId, NOTHING_REVOKED } from "../../../../../common/pki/revocation-list.ts";
import {
  distrustOf,
  type PeerCertificate,
  readPeerCertificate,
} from "../../../../../controller/rpc/tls/peer-certificate.ts";

const nowMs = Date.UTC(2026, 10, 22);
const DAY_MS = 86_400_000;
const validity = { nowMs, days: 1 };

async function peer(): Promise<{ certificate: PeerCertificate; id: string }> {
  const identity = { role: "node", trustDomain: "twill", name: "n1" } as const;
  const altNames = { dns: [], ip: [] };
  const pair = await issue(await createAuthority("twill", validity), {
    ...{ identity, altNames, validity },
  });
  const x509 = new X509Certificate(pair.certificatePem);
  return { certificate: readPeerCertificate(x509.raw), id: certificateId(x509) };
}

describe("a peer's certificate", () => {
  it("counts until its last millisecond, and not after", async () => {
    const { certificate } = await peer();
    assert.equal(distrustOf(certificate, NOTHING_REVOKED, nowMs + DAY_MS), undefined);
    const late = distrustOf(certificate, NOTHING_REVOKED, nowMs + DAY_MS + 1);
    assert.equal(late?.kind, "expired");
    assert.match(late?.reason ?? "", /CN=n1.*valid until 2026-11-23T00:00:00.000Z; renew it/);
  });

  it("counts no more once it is revoked, and says which it is", async () => {
    const { certificate, id } = await peer();
    const list = { ...NOTHING_REVOKED, revoked: new Set([id]) };
    const distrust = distrustOf(certificate, list, nowMs);
    assert.equal(distrust?.kind, "revoked");
    assert.match(distrust?.reason ?? "", /CN=n1, serial [0-9a-f]{32}, is revoked/);
    const others = { ...NOTHING_REVOKED, revoked: new Set([`${id}0`]) };
    assert.equal(distrustOf(certificate, others, nowMs), undefined);
  });
});
