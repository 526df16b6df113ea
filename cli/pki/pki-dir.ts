/**
 * The CA's folder: what was issued, what was revoked, and the CA's own files.
 *   ca.crt  ca.key (0600)  crl.pem  issued.json
 * Keys are created with mode 0600 from the first byte; issued.json is replaced atomically.
 */
import { existsSync } from "node:fs";
import { mkdir, open, readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import { TwillError } from "../../common/errors.ts";
import type { KeyPair } from "../../common/pki/authority.ts";

/** One certificate this CA has signed. Times are milliseconds since 1970. */
export interface IssuedRecord {
  readonly serial: string;
  /** spiffe:// URI. */
  readonly identity: string;
  readonly addresses: readonly string[];
  readonly issuedMs: number;
  readonly notAfterMs: number;
  /** 0: not revoked. */
  readonly revokedMs: number;
}

interface Register {
  readonly trustDomain: string;
  readonly issued: readonly IssuedRecord[];
}

export class PkiDir {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  get exists(): boolean {
    return existsSync(join(this.path, "ca.key"));
  }

  /** Creates the folder; refuses to overwrite a CA that is there. */
  async create(trustDomain: string, authority: KeyPair): Promise<void> {
    if (this.exists) {
      throw new TwillError("OPTION_INVALID", `${this.path} holds a CA already; use another --dir`);
    }
    await mkdir(this.path, { recursive: true, mode: 0o700 });
    await this.writeKeyPair("ca", authority);
    await this.#save({ trustDomain, issued: [] });
  }

  async authority(): Promise<KeyPair> {
    return { certificatePem: await this.#read("ca.crt"), keyPem: await this.#read("ca.key") };
  }

  async trustDomain(): Promise<string> {
    return (await this.#load()).trustDomain;
  }

  async issued(): Promise<readonly IssuedRecord[]> {
    return (await this.#load()).issued;
  }

  async record(record: IssuedRecord): Promise<void> {
    const register = await this.#load();
    await this.#save({ ...register, issued: [...register.issued, record] });
  }

  async replace(issued: readonly IssuedRecord[]): Promise<void> {
    await this.#save({ ...(await this.#load()), issued });
  }

  /** Writes `<name>.crt` (0644) and `<name>.key` (0600) into the folder or `into`. */
  async writeKeyPair(name: string, pair: KeyPair, into = this.path): Promise<void> {
    await mkdir(into, { recursive: true, mode: 0o700 });
    await writeAtomic(join(into, `${name}.key`), pair.keyPem, 0o600);
    await writeAtomic(join(into, `${name}.crt`), pair.certificatePem, 0o644);
  }

  async writeRevocationList(pem: string): Promise<void> {
    await writeAtomic(join(this.path, "crl.pem"), pem, 0o644);
  }

  async #read(name: string): Promise<string> {
    try {
      return await readFile(join(this.path, name), "utf8");
    } catch (error) {
      const hint = "make a CA first: twillctl pki init";
      throw new TwillError("OPTION_INVALID", `cannot read ${join(this.path, name)}; ${hint}`, {
        cause: error,
      });
    }
  }

  async #load(): Promise<Register> {
    const parsed: unknown = JSON.parse(await this.#read("issued.json"));
    if (!isRegister(parsed)) {
      throw new TwillError("OPTION_INVALID", `${join(this.path, "issued.json")} is damaged`);
    }
    return parsed;
  }

  async #save(register: Register): Promise<void> {
    const text = `${JSON.stringify(register, undefined, 2)}\n`;
    await writeAtomic(join(this.path, "issued.json"), text, 0o600);
  }
}

function isRegister(value: unknown): value is Register {
  return (
    typeof value === "object" &&
    value !== null &&
    "trustDomain" in value &&
    typeof value.trustDomain === "string" &&
    "issued" in value &&
    Array.isArray(value.issued)
  );
}

async function writeAtomic(path: string, text: string, mode: number): Promise<void> {
  const temporary = `${path}.new`;
  const file = await open(temporary, "w", mode);
  try {
    await file.chmod(mode);
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
}
