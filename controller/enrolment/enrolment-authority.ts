/**
 * The CA by which this replica signs nodes' certificates: the key of one of the CAs that all
 * here trust. The key is read at every signature, so that one that was replaced is used at once and
 * none lies in memory for long.
 */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import {
  authorityFingerprint,
  certificatesOf,
  keyFingerprint,
} from "../../common/enrolment/join-token.ts";
import { TwillError } from "../../common/errors.ts";
import { parseIdentity } from "../../common/identity/identity.ts";
import { type KeyPair, requestKey, signRequest } from "../../common/pki/authority.ts";

const DAY_MS = 86_400_000;

export interface EnrolmentFiles {
  /** --tls-ca-file and --enrol-ca-key-file. */
  readonly caFile: string;
  readonly keyFile: string;
  /** --tls-cert-file: whoever signed it is what a new node is told to trust. */
  readonly certFile: string;
}

export interface SignWish {
  readonly requestPem: string;
  readonly node: string;
  readonly addresses: readonly string[];
  readonly ttlMs: number;
  readonly nowMs: number;
}

export class EnrolmentAuthority {
  readonly #files: EnrolmentFiles;

  private constructor(files: EnrolmentFiles) {
    this.#files = files;
  }

  /** Throws OPTION_INVALID when the key is none of a trusted CA. */
  static async open(files: EnrolmentFiles): Promise<EnrolmentAuthority> {
    const authority = new EnrolmentAuthority(files);
    await authority.#pair();
    return authority;
  }

  authoritiesPem(): Promise<string> {
    return readFile(this.#files.caFile, "utf8");
  }

  /** Fingerprint of the CA that signed this replica's own certificate. */
  async fingerprint(): Promise<string> {
    const own = new X509Certificate(await readFile(this.#files.certFile));
    const all = certificatesOf(await this.authoritiesPem()).map((pem) => new X509Certificate(pem));
    const issuer = all.find((one) => own.checkIssued(one) && own.verify(one.publicKey)) ?? all[0];
    if (issuer === undefined) throw invalid(`${this.#files.caFile} holds no certificate`);
    return authorityFingerprint(issuer);
  }

  /** Fingerprint of a request's key; throws UNAUTHENTICATED when it is no request of that key. */
  async keyOf(requestPem: string): Promise<string> {
    try {
      return keyFingerprint(await requestKey(requestPem));
    } catch (error) {
      const what = "the signing request is not one, or is not signed by its own key";
      throw new TwillError("UNAUTHENTICATED", what, { cause: error });
    }
  }

  /** PEM of the certificate. */
  async sign({ requestPem, node, addresses, ttlMs, nowMs }: SignWish): Promise<string> {
    const authority = await this.#pair();
    return signRequest(authority, requestPem, {
      identity: { role: "node", trustDomain: await this.#trustDomain(), name: node },
      altNames: { dns: [], ip: addresses },
      validity: { nowMs, days: ttlMs / DAY_MS },
    });
  }

  /** That of this replica's own certificate: one cluster is one trust domain. */
  async #trustDomain(): Promise<string> {
    const own = new X509Certificate(await readFile(this.#files.certFile));
    const uri = /URI:(spiffe:[^,\s]+)/.exec(own.subjectAltName ?? "")?.[1] ?? "";
    const identity = parseIdentity(uri);
    if (identity !== undefined) return identity.trustDomain;
    throw invalid(`${this.#files.certFile} has no spiffe:// URI SAN to take the trust domain from`);
  }

  async #pair(): Promise<KeyPair> {
    const { caFile, keyFile } = this.#files;
    const [pem, keyPem] = await Promise.all([readText(caFile), readText(keyFile)]);
    const key = createPrivateKey(keyPem);
    const certificatePem = certificatesOf(pem).find((one) =>
      new X509Certificate(one).checkPrivateKey(key),
    );
    if (certificatePem === undefined) {
      throw invalid(`${keyFile} is not the key of a CA in ${caFile}, which everybody here trusts`);
    }
    return { certificatePem, keyPem };
  }
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new TwillError("OPTION_INVALID", `cannot use ${path}: ${why}`, { cause: error });
  }
}

function invalid(message: string): TwillError {
  return new TwillError("OPTION_INVALID", message);
}
