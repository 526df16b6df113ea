/** A CA of a test and what it gives out, as files in a folder of their own, as a daemon reads them. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ChannelCredentials, credentials } from "@grpc/grpc-js";
import type { Identity } from "../../common/identity/identity.ts";
import {
  type AltNames,
  createAuthority,
  createRevocationList,
  issue,
  type KeyPair,
  readCertificate,
} from "../../common/pki/authority.ts";

const DOMAIN = "twill.test";
const DAY_MS = 86_400_000;
const NO_NAMES: AltNames = { dns: [], ip: [] };
const LOOPBACK: AltNames = { dns: ["localhost"], ip: ["127.0.0.1"] };

export interface TlsFileNames {
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
}

export interface IssueWish {
  /** When its day of validity begins, compared with now. */
  readonly fromMs?: number;
  readonly altNames?: AltNames;
  readonly admin?: boolean;
}

export class TestPki implements AsyncDisposable {
  readonly folder: string;
  #authority: KeyPair;

  private constructor(folder: string, authority: KeyPair) {
    this.folder = folder;
    this.#authority = authority;
  }

  static async create(): Promise<TestPki> {
    const folder = await mkdtemp(join(tmpdir(), "twill-tls-"));
    const pki = new TestPki(folder, await createAuthority(DOMAIN, validity(0)));
    await pki.trust();
    return pki;
  }

  get caFile(): string {
    return join(this.folder, "ca.pem");
  }

  get crlFile(): string {
    return join(this.folder, "crl.pem");
  }

  get authority(): KeyPair {
    return this.#authority;
  }

  /** Writes ca.pem: this CA's certificate, and those given besides. */
  async trust(...others: readonly KeyPair[]): Promise<void> {
    const all = [this.#authority, ...others].map(({ certificatePem }) => certificatePem);
    await writeFile(this.caFile, all.join(""));
  }

  /** From now on another CA signs; answers the one before. ca.pem stays. */
  async replaceAuthority(): Promise<KeyPair> {
    const before = this.#authority;
    this.#authority = await createAuthority(DOMAIN, validity(0));
    return before;
  }

  /** A certificate for this identity, as text. */
  async pair(role: Identity["role"], name: string, wish: IssueWish = {}): Promise<KeyPair> {
    const { fromMs = 0, admin = false } = wish;
    const altNames = wish.altNames ?? (role === "controller" ? LOOPBACK : NO_NAMES);
    const identity: Identity =
      role === "operator"
        ? { role, trustDomain: DOMAIN, name, admin }
        : { role, trustDomain: DOMAIN, name };
    return issue(this.#authority, { identity, altNames, validity: validity(fromMs) });
  }

  /** The same as files, written over those it had before. */
  async files(role: Identity["role"], name: string, wish: IssueWish = {}): Promise<TlsFileNames> {
    const pair = await this.pair(role, name, wish);
    const path = (kind: string): string => join(this.folder, `${role}-${name}.${kind}`);
    await writeFile(path("key"), pair.keyPem, { mode: 0o600 });
    await writeFile(path("crt"), pair.certificatePem);
    return { caFile: this.caFile, certFile: path("crt"), keyFile: path("key") };
  }

  /** Writes crl.pem, which revokes exactly these certificates. */
  async revoke(...revoked: readonly TlsFileNames[]): Promise<void> {
    const serials = await Promise.all(
      revoked.map(async ({ certFile }) => readCertificate(await readFile(certFile, "utf8")).serial),
    );
    const list = await createRevocationList(this.#authority, serials, validity(0));
    await writeFile(this.crlFile, list);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}

export async function credentialsOf(tls: TlsFileNames): Promise<ChannelCredentials> {
  const [ca, key, cert] = await Promise.all(
    [tls.caFile, tls.keyFile, tls.certFile].map((file) => readFile(file)),
  );
  return credentials.createSsl(ca ?? null, key ?? null, cert ?? null);
}

function validity(fromMs: number): { nowMs: number; days: number } {
  return { nowMs: Date.now() + fromMs, days: 1 };
}

/** One day before this, a certificate of one day has just expired. */
export const EXPIRED: IssueWish = { fromMs: -2 * DAY_MS };
export const NOT_YET_VALID: IssueWish = { fromMs: DAY_MS };
