/** A stream outlives the certificate it began with when its holder shows a newer one. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { PeerCertificate } from "../../../../../controller/rpc/tls/peer-certificate.ts";
import { Renewals } from "../../../../../controller/rpc/tls/renewals.ts";

function certificate(node: string, notAfterMs: number): PeerCertificate {
  const names = `URI:spiffe://twill/node/${node}`;
  return { id: `${node} ${notAfterMs}`, title: node, notAfterMs, names, isController: false };
}

function peer(address: string, held: PeerCertificate) {
  return { address, certificate: held };
}

describe("renewed certificates", () => {
  it("let older connections of the same holder count for as long", () => {
    const renewals = new Renewals();
    const stream = peer("10.0.0.1:1000", certificate("n1", 100));
    renewals.shown(stream);
    assert.equal(renewals.asRenewed(stream).certificate.notAfterMs, 100);
    const shows = peer("10.0.0.1:1001", certificate("n1", 200));
    renewals.shown(shows);
    renewals.closed(shows.address);
    const renewed = renewals.asRenewed(stream).certificate;
    assert.equal(renewed.notAfterMs, 200);
    assert.equal(renewed.id, "n1 100", "it is still the one that may be revoked");
  });

  it("do nothing for other names, for other hosts, and for who has gone", () => {
    const renewals = new Renewals();
    const stream = peer("10.0.0.1:1000", certificate("n1", 100));
    renewals.shown(stream);
    renewals.shown(peer("10.0.0.1:1001", certificate("n2", 200)));
    renewals.shown(peer("10.0.0.2:1001", certificate("n1", 300)));
    assert.equal(renewals.asRenewed(stream).certificate.notAfterMs, 100);
    renewals.closed(stream.address);
    renewals.shown(stream);
    assert.equal(renewals.asRenewed(stream).certificate.notAfterMs, 100);
  });
});
