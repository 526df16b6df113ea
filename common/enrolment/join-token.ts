/**
 * The token by which a machine joins: which invitation, the secret that proves it, the
 * fingerprint of the CA that signs controllers, and where to enrol. One word, for a file or a
 * boot script. Whoever holds it can become that node, once and until it expires.
 */
import { createHash, timingSafeEqual, X509Certificate } from "node:crypto";
import { parseHostPort } from "../net/host-port.ts";

export interface JoinToken {
  /** 16 hex digits. */
  readonly invite: string;
  /** 32 random bytes, base64url. */
  readonly secret: string;
  /** SHA-256 of the CA's public key (SubjectPublicKeyInfo), base64url. */
  readonly authority: string;
  /** "host:port" of --enrol-listen. */
  readonly address: string;
}

const PREFIX = "twill1";
const DIGEST = /^[A-Za-z0-9_-]{43}$/;

export function formatJoinToken({ invite, secret, authority, address }: JoinToken): string {
  const where = Buffer.from(address).toString("base64url");
  return [PREFIX, invite, secret, authority, where].join(".");
}

/** undefined: not a token of this version, or not whole. */
export function parseJoinToken(text: string): JoinToken | undefined {
  const [prefix, invite = "", secret = "", authority = "", where = "", ...rest] = text
    .trim()
    .split(".");
  if (prefix !== PREFIX || rest.length > 0) return undefined;
  if (!/^[0-9a-f]{16}$/.test(invite) || !DIGEST.test(secret) || !DIGEST.test(authority)) {
    return undefined;
  }
  const address = Buffer.from(where, "base64url").toString("utf8");
  const target = parseHostPort(address);
  if (target === undefined || target.host === "" || target.port === 0) return undefined;
  return { invite, secret, authority, address };
}

/** What is stored of a secret. It has 256 random bits, so a plain hash cannot be guessed back. */
export function secretHash(secret: string): string {
  return createHash("sha256").update(secret).digest("base64url");
}

/** In constant time. */
export function isSecret(secret: string, hash: string): boolean {
  const given = Buffer.from(secretHash(secret));
  const known = Buffer.from(hash);
  return given.length === known.length && timingSafeEqual(given, known);
}

/** Of a CA, by its public key: the same for every certificate that it has had. */
export function authorityFingerprint(certificate: X509Certificate): string {
  return keyFingerprint(certificate.publicKey.export({ type: "spki", format: "der" }));
}

/** SubjectPublicKeyInfo, DER. */
export function keyFingerprint(spki: Uint8Array): string {
  return createHash("sha256").update(spki).digest("base64url");
}

/** Those of the PEM certificates that a token names; empty: none, so nobody there is trusted. */
export function pinnedAuthorities(pem: string, fingerprint: string): string {
  return certificatesOf(pem)
    .filter((one) => authorityFingerprint(new X509Certificate(one)) === fingerprint)
    .join("");
}

/** Each PEM certificate by itself, with its last newline. */
export function certificatesOf(pem: string): readonly string[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return blocks.map((block) => `${block}\n`);
}
