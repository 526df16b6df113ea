/**
 * The certificates of this replica: for its server, for asking the leader, and whose
 * certificates it trusts. They follow the files: what changes there is in force for the next
 * handshake, while streams that stand go on. What cannot be used leaves the old in force.
 */
import {
  type ChannelCredentials,
  credentials,
  experimental,
  ServerCredentials,
} from "@grpc/grpc-js";
import type { Clock } from "../../../common/async/clock.ts";
import { kickOrTimeout } from "../../../common/async/kick-or-timeout.ts";
import { Trigger } from "../../../common/async/trigger.ts";
import { TwillError } from "../../../common/errors.ts";
import { errorFields, type Logger } from "../../../common/log.ts";
import type { ServerTlsFiles } from "../../options.ts";
import { MaterialProvider } from "./material-provider.ts";
import { type Distrust, distrustOf, type PeerCertificate } from "./peer-certificate.ts";
import { changedFiles, readTlsMaterial, type TlsMaterial } from "./tls-material.ts";

/**
 * Files are read and compared this often; watching them misses what is renamed into place
 * from elsewhere, and four small files cost nothing.
 */
const REREAD_MS = 2000;

export interface CredentialsParts {
  readonly clock: Clock;
  readonly log: Logger;
}

export class ReplicaCredentials {
  readonly server: ServerCredentials;
  /** The same certificate for those who have none to show. */
  readonly enrolment: ServerCredentials;
  readonly #files: ServerTlsFiles | undefined;
  readonly #parts: CredentialsParts;
  readonly #provider: MaterialProvider | undefined;
  readonly #wake = new Trigger();
  #channel: ChannelCredentials;
  #fault: string | undefined;
  #warnedOfMs = 0;

  private constructor(
    files: ServerTlsFiles | undefined,
    material: TlsMaterial | undefined,
    parts: CredentialsParts,
  ) {
    this.#files = files;
    this.#parts = parts;
    this.#provider = material === undefined ? undefined : new MaterialProvider(material);
    this.server =
      this.#provider === undefined
        ? ServerCredentials.createInsecure()
        : experimental.createCertificateProviderServerCredentials(
            this.#provider,
            this.#provider,
            true,
          );
    this.enrolment =
      this.#provider === undefined
        ? ServerCredentials.createInsecure()
        : experimental.createCertificateProviderServerCredentials(this.#provider, null, false);
    this.#channel = channelOf(material);
  }

  /** `files` undefined: plaintext. Throws OPTION_INVALID naming the file that cannot be used. */
  static async open(
    files: ServerTlsFiles | undefined,
    parts: CredentialsParts,
  ): Promise<ReplicaCredentials> {
    const material = files === undefined ? undefined : await readTlsMaterial(files);
    return new ReplicaCredentials(files, material, parts);
  }

  /** As it is in force now: another object when the files have changed; undefined: plaintext. */
  get material(): TlsMaterial | undefined {
    return this.#provider?.material;
  }

  /** Another object when the files have changed. */
  get channel(): ChannelCredentials {
    return this.#channel;
  }

  /** Why this peer may not go on, by what is revoked and what time it is; undefined: it may. */
  distrustOf(certificate: PeerCertificate): Distrust | undefined {
    const provider = this.#provider;
    if (provider === undefined) return undefined;
    return distrustOf(certificate, provider.material.revocations, this.#parts.clock.wallMs());
  }

  /** Reads the files now instead of soon. */
  reload(): void {
    this.#wake.kick();
  }

  /** Follows the files for ever; `review` is called after every look at them. */
  async run(review: () => void, signal: AbortSignal): Promise<void> {
    for (;;) {
      await kickOrTimeout(this.#wake, REREAD_MS, this.#parts.clock, signal);
      if (this.#files === undefined || this.#provider === undefined) continue;
      await this.#follow(this.#files, this.#provider);
      review();
    }
  }

  async #follow(files: ServerTlsFiles, provider: MaterialProvider): Promise<void> {
    const { log } = this.#parts;
    try {
      const material = await readTlsMaterial(files);
      const changed = changedFiles(files, provider.material, material);
      this.#fault = undefined;
      this.#warnOfAge(material);
      if (changed.length === 0) return;
      this.#channel = channelOf(material);
      provider.replace(material);
      const { revoked } = material.revocations;
      log.event("tls.reloaded", `in force from now on: ${changed.join(", ")}`, {
        files: changed.join(" "),
        revoked: revoked.size,
      });
    } catch (error) {
      this.#failed(TwillError.from(error));
    }
  }

  /** Two files cannot be replaced at once: only what is wrong twice in a row is told. */
  #failed(fault: TwillError): void {
    const isRepeated = this.#fault === fault.message;
    this.#fault = fault.message;
    if (!isRepeated) return;
    const message = `${fault.message}; what was read before stays in force`;
    this.#parts.log.event("tls.unusable", message, { key: fault.message, ...errorFields(fault) });
  }

  /** A list that is overdue still counts: refusing everybody would be worse. */
  #warnOfAge({ revocations: { nextUpdateMs } }: TlsMaterial): void {
    if (this.#parts.clock.wallMs() <= nextUpdateMs || this.#warnedOfMs === nextUpdateMs) return;
    this.#warnedOfMs = nextUpdateMs;
    const due = new Date(nextUpdateMs).toISOString();
    const message = `the revocation list was due to be replaced at ${due}; it still counts`;
    this.#parts.log.event("tls.overdue", message, { key: due });
  }
}

function channelOf(material: TlsMaterial | undefined): ChannelCredentials {
  if (material === undefined) return credentials.createInsecure();
  return credentials.createSsl(material.ca, material.key, material.certificate);
}
