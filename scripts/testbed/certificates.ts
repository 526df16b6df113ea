/**
 * The lab's own certificate authority: every daemon and every operator's shell gets a
 * certificate, as an installation would give them by `twillctl pki`. In a lab that asked for
 * plaintext there is none.
 */
import { systemClock } from "../../common/async/clock.ts";
import type { Identity } from "../../common/identity/identity.ts";
import { createAuthority, issue, type KeyPair } from "../../common/pki/authority.ts";
import type { Machine } from "./machine.ts";
import type { MachineId } from "./topology.ts";

const TRUST_DOMAIN = "lab";
const DAYS = 30;
/** Below /run, so that it is each machine's own. */
const FOLDER = "twill-pki";
const NO_NAMES = { dns: [], ip: [] };

type Holder = "daemon" | "operator";

export function tlsFile(name: `ca.crt` | `${Holder}.${"crt" | "key"}`): string {
  return `/run/${FOLDER}/${name}`;
}

/** Options of either daemon. */
export const DAEMON_TLS_OPTIONS: readonly string[] = [
  ...["--tls-ca-file", tlsFile("ca.crt")],
  ...["--tls-cert-file", tlsFile("daemon.crt"), "--tls-key-file", tlsFile("daemon.key")],
];

/** Where a node that joins by token looks for it, as Machine.writeRunFile has it. */
export const JOIN_TOKEN = `${FOLDER}/token`;
export const JOIN_OPTIONS: readonly string[] = ["--join-token-file", `/run/${JOIN_TOKEN}`];
export const ENROL_KEY_FILE = `/run/${FOLDER}/ca.key`;

export interface LabAuthorityOptions {
  /** Controllers sign nodes' certificates, and nodes get nothing from here. */
  readonly joinByToken: boolean;
}

export class LabAuthority {
  readonly #authority: KeyPair;
  readonly #options: LabAuthorityOptions;

  private constructor(authority: KeyPair, options: LabAuthorityOptions) {
    this.#authority = authority;
    this.#options = options;
  }

  static async create(options: LabAuthorityOptions): Promise<LabAuthority> {
    return new LabAuthority(await createAuthority(TRUST_DOMAIN, validity()), options);
  }

  /** Gives a machine its files: the CA, its daemon's certificate, an admin operator's. */
  async equip(machine: Machine): Promise<void> {
    const { role, name } = machine.id;
    const { joinByToken } = this.#options;
    if (joinByToken && role === "node") return;
    machine.writeRunFile(`${FOLDER}/ca.crt`, this.#authority.certificatePem, 0o644);
    if (joinByToken && role === "controller") {
      machine.writeRunFile(`${FOLDER}/ca.key`, this.#authority.keyPem, 0o600);
    }
    if (role !== "etcd") {
      await this.#give(machine, "daemon", { role, trustDomain: TRUST_DOMAIN, name });
    }
    const operator = { role: "operator", trustDomain: TRUST_DOMAIN, name: "lab" } as const;
    await this.#give(machine, "operator", { ...operator, admin: true });
  }

  async #give(machine: Machine, holder: Holder, identity: Identity): Promise<void> {
    const altNames = identity.role === "controller" ? namesOf(machine.id) : NO_NAMES;
    const pair = await issue(this.#authority, { identity, altNames, validity: validity() });
    machine.writeRunFile(`${FOLDER}/${holder}.crt`, pair.certificatePem, 0o644);
    machine.writeRunFile(`${FOLDER}/${holder}.key`, pair.keyPem, 0o600);
  }
}

function namesOf({ name, ip, ip6 }: MachineId): { dns: string[]; ip: string[] } {
  return { dns: [name], ip: [ip, ip6] };
}

function validity(): { nowMs: number; days: number } {
  return { nowMs: systemClock.wallMs(), days: DAYS };
}
