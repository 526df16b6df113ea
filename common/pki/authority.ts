/**
 * A small certificate authority over @peculiar/x509 and WebCrypto: P-256 keys, X.509 v3.
 * For labs and small fleets; any outside CA that writes the same SANs works as well.
 */
import { createPublicKey, webcrypto } from "node:crypto";
import "reflect-metadata";
import * as x509 from "@peculiar/x509";
import { formatIdentity, type Identity } from "../identity/identity.ts";

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const DAY_MS = 86_400_000;
/** Clocks of a fleet differ by minutes; a certificate is valid a little before it was made. */
const BACKDATE_MS = 5 * 60_000;

x509.cryptoProvider.set(webcrypto);

/** A certificate and its private key as PEM text. The key is secret. */
export interface KeyPair {
  readonly certificatePem: string;
  readonly keyPem: string;
}

export interface Validity {
  readonly nowMs: number;
  readonly days: number;
}

/** Extra names a certificate is good for: what TLS clients dial, or a node's allowed addresses. */
export interface AltNames {
  readonly dns: readonly string[];
  readonly ip: readonly string[];
}

export interface IssueRequest {
  readonly identity: Identity;
  readonly altNames: AltNames;
  readonly validity: Validity;
}

/** Makes a self-signed CA that may sign only end certificates. */
export async function createAuthority(trustDomain: string, validity: Validity): Promise<KeyPair> {
  const keys = await generateKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: randomSerial(),
    name: `CN=Twill CA ${trustDomain}`,
    ...validityDates(validity),
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(
        x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign,
        true,
      ),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificatePem: lines(certificate), keyPem: await exportKey(keys.privateKey) };
}

/** Makes a key and a certificate for it. */
export async function issue(authority: KeyPair, request: IssueRequest): Promise<KeyPair> {
  const keys = await generateKeys();
  const certificate = await sign(authority, keys.publicKey, request);
  return { certificatePem: certificate, keyPem: await exportKey(keys.privateKey) };
}

/** Signs the public key of a request made elsewhere; every name comes from `request`, none from the CSR. */
export async function signRequest(
  authority: KeyPair,
  csrPem: string,
  request: IssueRequest,
): Promise<string> {
  const csr = new x509.Pkcs10CertificateRequest(csrPem);
  if (!(await csr.verify())) throw new RangeError("the request is not signed by its own key");
  return sign(authority, await csr.publicKey.export(), request);
}

/** SubjectPublicKeyInfo of a request's key; throws when it is not signed by that key. */
export async function requestKey(csrPem: string): Promise<Uint8Array> {
  const csr = new x509.Pkcs10CertificateRequest(csrPem);
  if (!(await csr.verify())) throw new RangeError("the request is not signed by its own key");
  return new Uint8Array(csr.publicKey.rawData);
}

/** Makes a key (which never leaves the caller) and a request for it. */
export async function createRequest(
  commonName: string,
): Promise<{ csrPem: string; keyPem: string }> {
  return requestFor(commonName, await exportKey((await generateKeys()).privateKey));
}

/** A request for a key that is there already. */
export async function requestFor(
  commonName: string,
  keyPem: string,
): Promise<{ csrPem: string; keyPem: string }> {
  const keys = await readKeys(keyPem);
  const csr = await x509.Pkcs10CertificateRequestGenerator.create({
    name: `CN=${commonName}`,
    keys,
    signingAlgorithm: ALGORITHM,
  });
  return { csrPem: lines(csr), keyPem };
}

/** A signed list of revoked serial numbers (hex), valid for `validity.days`. */
export async function createRevocationList(
  authority: KeyPair,
  serials: readonly string[],
  validity: Validity,
): Promise<string> {
  const ca = new x509.X509Certificate(authority.certificatePem);
  const { notBefore, notAfter } = validityDates(validity);
  const crl = await x509.X509CrlGenerator.create({
    issuer: ca.subject,
    thisUpdate: notBefore,
    nextUpdate: notAfter,
    signingAlgorithm: ALGORITHM,
    signingKey: await importKey(authority.keyPem),
    entries: serials.map((serialNumber) => ({
      serialNumber,
      revocationDate: new Date(validity.nowMs),
    })),
  });
  return lines(crl);
}

export interface CertificateFacts {
  /** Lower-case hex without leading zeros. */
  readonly serial: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

export function readCertificate(pem: string): CertificateFacts {
  const certificate = new x509.X509Certificate(pem);
  return {
    serial: canonicalSerial(certificate.serialNumber),
    notBeforeMs: certificate.notBefore.getTime(),
    notAfterMs: certificate.notAfter.getTime(),
  };
}

/** One spelling of a serial number, whoever printed it. */
export function canonicalSerial(serial: string): string {
  return serial.toLowerCase().replace(/^0+(?=.)/, "");
}

async function sign(
  authority: KeyPair,
  publicKey: CryptoKey,
  request: IssueRequest,
): Promise<string> {
  const ca = new x509.X509Certificate(authority.certificatePem);
  const { identity, altNames } = request;
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: randomSerial(),
    issuer: ca.subject,
    subject: `CN=${identity.name}`,
    ...validityDates(request.validity),
    publicKey,
    signingKey: await importKey(authority.keyPem),
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension(keyUses(identity)),
      new x509.SubjectAlternativeNameExtension([
        { type: "url", value: formatIdentity(identity) },
        ...altNames.dns.map((value) => ({ type: "dns" as const, value })),
        ...altNames.ip.map((value) => ({ type: "ip" as const, value })),
      ]),
      await x509.AuthorityKeyIdentifierExtension.create(ca.publicKey),
      await x509.SubjectKeyIdentifierExtension.create(publicKey),
    ],
  });
  return lines(certificate);
}

/** Only controllers serve; they also dial each other. */
function keyUses(identity: Identity): x509.ExtendedKeyUsageType[] {
  const client = x509.ExtendedKeyUsage.clientAuth;
  return identity.role === "controller" ? [x509.ExtendedKeyUsage.serverAuth, client] : [client];
}

function validityDates(validity: Validity): { notBefore: Date; notAfter: Date } {
  const lifeMs = validity.days * DAY_MS;
  return {
    notBefore: new Date(validity.nowMs - Math.min(BACKDATE_MS, lifeMs / 20)),
    notAfter: new Date(validity.nowMs + lifeMs),
  };
}

/** PEM that ends its last line: files of it can be put one after the other. */
function lines(data: { toString(format: "pem"): string }): string {
  return `${data.toString("pem")}\n`;
}

async function generateKeys(): Promise<CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
}

async function exportKey(key: CryptoKey): Promise<string> {
  const pkcs8 = await webcrypto.subtle.exportKey("pkcs8", key);
  return `${x509.PemConverter.encode(pkcs8, "PRIVATE KEY")}\n`;
}

/** Both halves of a private key. */
async function readKeys(keyPem: string): Promise<CryptoKeyPair> {
  const spki = createPublicKey(keyPem).export({ type: "spki", format: "der" });
  return {
    privateKey: await importKey(keyPem),
    publicKey: await webcrypto.subtle.importKey("spki", spki, ALGORITHM, true, ["verify"]),
  };
}

async function importKey(pem: string): Promise<CryptoKey> {
  const [der] = x509.PemConverter.decode(pem);
  if (der === undefined) throw new RangeError("the CA key file holds no PEM block");
  return webcrypto.subtle.importKey("pkcs8", der, ALGORITHM, false, ["sign"]);
}

/** 127 random bits, positive, as RFC 5280 4.1.2.2 asks (at most 20 octets, unpredictable). */
function randomSerial(): string {
  const bytes = webcrypto.getRandomValues(new Uint8Array(16));
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return Buffer.from(bytes).toString("hex");
}
