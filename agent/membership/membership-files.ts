/**
 * What a node that joined by token keeps below --state-dir: the CAs it trusts, and its
 * certificate with its key in one file, so that the two are never of different ages. The key is
 * made here, kept before it is first used, and never leaves.
 */
import { join } from "node:path";
import { readFileIfPresent, writeFileAtomic } from "../host/atomic-file.ts";
import type { TlsFiles } from "../rpc/channel.ts";

const FOLDER = "membership";
const SECRET = 0o600;
const PUBLIC = 0o644;

export class MembershipFiles {
  readonly #folder: string;

  constructor(stateDir: string) {
    this.#folder = join(stateDir, FOLDER);
  }

  get tls(): TlsFiles {
    const node = join(this.#folder, "node.pem");
    return { caFile: join(this.#folder, "ca.crt"), certFile: node, keyFile: node };
  }

  /** Certificate and key; undefined: this machine is no node yet. */
  certificate(): Promise<string | undefined> {
    return readFileIfPresent(this.tls.certFile);
  }

  /** The key that the next certificate is asked for with; undefined: there is none. */
  nextKey(): Promise<string | undefined> {
    return readFileIfPresent(this.#nextKeyFile);
  }

  keepNextKey(keyPem: string): Promise<void> {
    return writeFileAtomic(this.#nextKeyFile, keyPem, SECRET);
  }

  async keep(certificatePem: string, keyPem: string, authoritiesPem: string): Promise<void> {
    await writeFileAtomic(this.tls.caFile, authoritiesPem, PUBLIC);
    await writeFileAtomic(this.tls.certFile, certificatePem + keyPem, SECRET);
  }

  get #nextKeyFile(): string {
    return join(this.#folder, "next.key");
  }
}
