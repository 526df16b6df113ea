/** Certificates for an etcd of tests and its clients, as files in a directory of their own. */
import { webcrypto } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import "reflect-metadata";
import * as x509 from "@peculiar/x509";

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const DAY_MS = 86_400_000;

export interface CertificateFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

export interface CertificateNames {
  /** etcd's user when client certificates are asked for. */
  readonly commonName: string;
  readonly dns?: readonly string[];
  readonly ip?: readonly string[];
  /** Days from now until it ends; negative: it has ended. */
  readonly days?: number;
}

export class TestAuthority implements AsyncDisposable {
  readonly caFile: string;
  readonly #directory: string;
  readonly #keys: CryptoKeyPair;
  readonly #issuer: string;

  private constructor(directory: string, keys: CryptoKeyPair, issuer: string) {
    this.caFile = join(directory, "ca.crt");
    this.#directory = directory;
    this.#keys = keys;
    this.#issuer = issuer;
  }

  static async create(name = "ca"): Promise<TestAuthority> {
    x509.cryptoProvider.set(webcrypto);
    const directory = await mkdtemp(join(tmpdir(), "twill-etcd-tls-"));
    const keys = await generateKeys();
    const authority = new TestAuthority(directory, keys, `CN=${name}`);
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      name: `CN=${name}`,
      ...dates(30),
      keys,
      signingAlgorithm: ALGORITHM,
      extensions: [new x509.BasicConstraintsExtension(true, undefined, true)],
    });
    await writeFile(authority.caFile, certificate.toString("pem"));
    return authority;
  }

  /** Writes `<file>.crt` and `<file>.key`; a file that exists is replaced. */
  async issue(file: string, names: CertificateNames): Promise<CertificateFiles> {
    const keys = await generateKeys();
    const altNames = [
      ...(names.dns ?? []).map((value) => ({ type: "dns", value }) as const),
      ...(names.ip ?? []).map((value) => ({ type: "ip", value }) as const),
    ];
    const certificate = await x509.X509CertificateGenerator.create({
      subject: `CN=${names.commonName}`,
      issuer: this.#issuer,
      ...dates(names.days ?? 30),
      publicKey: keys.publicKey,
      signingKey: this.#keys.privateKey,
      signingAlgorithm: ALGORITHM,
      extensions: altNames.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(altNames)],
    });
    const files = {
      certFile: join(this.#directory, `${file}.crt`),
      keyFile: join(this.#directory, `${file}.key`),
    };
    const key = await webcrypto.subtle.exportKey("pkcs8", keys.privateKey);
    await writeFile(files.certFile, certificate.toString("pem"));
    await writeFile(files.keyFile, x509.PemConverter.encode(key, "PRIVATE KEY"));
    return files;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#directory, { recursive: true, force: true });
  }
}

function dates(days: number): { notBefore: Date; notAfter: Date } {
  const now = Date.now();
  const notAfter = new Date(now + days * DAY_MS);
  return { notBefore: new Date(Math.min(now, notAfter.getTime()) - DAY_MS), notAfter };
}

function generateKeys(): Promise<CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
}
