/** Certificates for the rows under mutual TLS: the controllers' as files, the agents' as text. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../../common/async/clock.ts";
import type { Identity } from "../../../common/identity/identity.ts";
import { createAuthority, issue, type KeyPair } from "../../../common/pki/authority.ts";
import type { LineTls } from "./http2-line.ts";

const TRUST_DOMAIN = "bench";

export interface TlsFiles {
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
}

export class BenchPki implements AsyncDisposable {
  readonly #folder: string;
  readonly #authority: KeyPair;

  private constructor(folder: string, authority: KeyPair) {
    this.#folder = folder;
    this.#authority = authority;
  }

  static async create(): Promise<BenchPki> {
    const folder = await mkdtemp(join(tmpdir(), "twill-bench-"));
    return new BenchPki(folder, await createAuthority(TRUST_DOMAIN, validity()));
  }

  async controllerFiles(name: string): Promise<TlsFiles> {
    const pair = await this.#issue({ role: "controller", trustDomain: TRUST_DOMAIN, name });
    const file = (end: string): string => join(this.#folder, `${name}.${end}`);
    await writeFile(file("ca"), this.#authority.certificatePem);
    await writeFile(file("crt"), pair.certificatePem);
    await writeFile(file("key"), pair.keyPem);
    return { caFile: file("ca"), certFile: file("crt"), keyFile: file("key") };
  }

  async agent(name: string): Promise<LineTls> {
    const pair = await this.#issue({ role: "node", trustDomain: TRUST_DOMAIN, name });
    return { ca: this.#authority.certificatePem, cert: pair.certificatePem, key: pair.keyPem };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }

  #issue(identity: Identity): Promise<KeyPair> {
    const altNames =
      identity.role === "controller" ? { dns: [], ip: ["127.0.0.1"] } : { dns: [], ip: [] };
    return issue(this.#authority, { identity, altNames, validity: validity() });
  }
}

function validity(): { nowMs: number; days: number } {
  return { nowMs: systemClock.wallMs(), days: 1 };
}
