/**
 * The certificate at the other end of a connection, and whether it still counts: TLS looks at
 * it once, but a stream may stand for months. Pure; the time is an argument.
 */
import { X509Certificate } from "node:crypto";
import { identityOfAltNames } from "../../../common/identity/identity.ts";
import { certificateId, type RevocationList } from "../../../common/pki/revocation-list.ts";

export interface PeerCertificate {
  /** Among all that are trusted. */
  readonly id: string;
  /** For people: "CN=n1, serial 4af0…". */
  readonly title: string;
  readonly notAfterMs: number;
  /** Its names, as Node prints them; a renewed certificate has the same. */
  readonly names: string;
  /** Speaks for another replica. */
  readonly isController: boolean;
}

export interface Distrust {
  readonly kind: "revoked" | "expired";
  /** For the peer and the operator. */
  readonly reason: string;
}

export function readPeerCertificate(der: Buffer): PeerCertificate {
  const certificate = new X509Certificate(der);
  const { subject, serialNumber, validTo, subjectAltName } = certificate;
  const found = identityOfAltNames(subjectAltName);
  return {
    id: certificateId(certificate),
    title: `the certificate ${subject.replaceAll("\n", " ")}, serial ${serialNumber.toLowerCase()},`,
    notAfterMs: Date.parse(validTo),
    names: subjectAltName ?? "",
    isController: found.kind === "identity" && found.identity.role === "controller",
  };
}

/** undefined: it counts. */
export function distrustOf(
  { id, title, notAfterMs }: PeerCertificate,
  { revoked }: RevocationList,
  wallMs: number,
): Distrust | undefined {
  if (revoked.has(id)) {
    return { kind: "revoked", reason: `${title} is revoked; issue another one` };
  }
  if (wallMs > notAfterMs) {
    const until = new Date(notAfterMs).toISOString();
    return { kind: "expired", reason: `${title} was valid until ${until}; renew it` };
  }
  return undefined;
}
