/**
 * Makes this machine a node by its token, once, and has its certificate renewed after two
 * thirds of its life, for ever. While that fails the certificate there is stays in use; the data
 * plane never waits for any of it.
 */
import { X509Certificate } from "node:crypto";
import { aborted } from "../../common/async/aborted.ts";
import { type BackoffPolicy, backoffMs } from "../../common/async/backoff.ts";
import type { Clock } from "../../common/async/clock.ts";
import { parseJoinToken } from "../../common/enrolment/join-token.ts";
import { TwillError } from "../../common/errors.ts";
import { errorFields, type Logger } from "../../common/log.ts";
import type { EnrolmentCalls } from "../rpc/enrolment-client.ts";
import type { MembershipFiles } from "./membership-files.ts";

export interface MembershipParts {
  readonly node: string;
  readonly files: MembershipFiles;
  readonly calls: EnrolmentCalls;
  /** The token's text; undefined: its file is not there (any more). */
  readonly readToken: () => Promise<string | undefined>;
  /** "host:port" of those that may renew. */
  readonly controllers: readonly string[];
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly log: Logger;
}

const RETRY: BackoffPolicy = { initialMs: 1000, maxMs: 60_000, factor: 2, jitter: 0.5 };
const RENEW_AFTER = 2 / 3;
/** A clock that jumped, or a certificate put there by hand, is noticed within this. */
const LONGEST_WAIT_MS = 3_600_000;

export class Membership {
  readonly #parts: MembershipParts;
  readonly #joined = new AbortController();

  constructor(parts: MembershipParts) {
    this.#parts = parts;
  }

  /** Resolves when there is a certificate to connect with; rejects with the signal's reason. */
  async joined(signal: AbortSignal): Promise<void> {
    await aborted(this.#joined.signal, signal);
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#parts;
    for (let failures = 0; ; ) {
      try {
        const dueMs = await this.#step();
        failures = 0;
        this.#joined.abort();
        const waitMs = Math.min(dueMs - clock.wallMs(), LONGEST_WAIT_MS);
        if (waitMs > 0) await clock.sleep(waitMs, signal);
      } catch (error) {
        signal.throwIfAborted();
        this.#failed(TwillError.from(error));
        await clock.sleep(backoffMs(RETRY, failures, random()), signal);
        failures += 1;
      }
    }
  }

  /** Joins or renews if that is due; answers when it is due next. */
  async #step(): Promise<number> {
    const { files, clock } = this.#parts;
    const held = await files.certificate();
    if (held === undefined) return this.#join();
    const { dueMs, notAfterMs } = lifeOf(held);
    if (clock.wallMs() < dueMs) return dueMs;
    return clock.wallMs() < notAfterMs ? this.#renew() : this.#join();
  }

  async #join(): Promise<number> {
    const { calls, readToken, files } = this.#parts;
    const text = (await readToken())?.trim();
    const parsed = text === undefined ? undefined : parseJoinToken(text);
    if (text === undefined || parsed === undefined) {
      const what = text === undefined ? "there is no join token" : "that is no join token";
      throw new TwillError(
        "OPTION_INVALID",
        `${what} in --join-token-file; twillctl node invite ${this.#parts.node} makes one`,
      );
    }
    const authorities = await calls.authorities(parsed);
    const { csrPem, keyPem } = await this.#request();
    const enrolled = await calls.enrol({ parsed, text }, authorities, csrPem);
    await files.keep(enrolled.certificatePem, keyPem, enrolled.authoritiesPem);
    return this.#kept("membership.joined", enrolled.certificatePem);
  }

  async #renew(): Promise<number> {
    const { calls, files, controllers } = this.#parts;
    const { createRequest } = await loadRequests();
    const { csrPem, keyPem } = await createRequest(this.#parts.node);
    let last = new TwillError("CONTROLLER_UNAVAILABLE", "there is no controller to renew by");
    for (const controller of controllers) {
      try {
        const enrolled = await calls.renew(controller, files.tls, csrPem);
        await files.keep(enrolled.certificatePem, keyPem, enrolled.authoritiesPem);
        return this.#kept("membership.renewed", enrolled.certificatePem);
      } catch (error) {
        last = TwillError.from(error);
      }
    }
    throw last;
  }

  /** By the same key again, if an answer was lost: a token works for one key. */
  async #request(): Promise<{ csrPem: string; keyPem: string }> {
    const { files, node } = this.#parts;
    const { createRequest, requestFor } = await loadRequests();
    const kept = await files.nextKey();
    if (kept !== undefined) return requestFor(node, kept);
    const made = await createRequest(node);
    await files.keepNextKey(made.keyPem);
    return made;
  }

  #kept(event: "membership.joined" | "membership.renewed", pem: string): number {
    const { dueMs, notAfterMs, serial } = lifeOf(pem);
    const until = new Date(notAfterMs).toISOString();
    const message = `the certificate of node ${this.#parts.node} is valid until ${until}`;
    this.#parts.log.event(event, message, { until, serial });
    return dueMs;
  }

  #failed(fault: TwillError): void {
    this.#parts.log.event("membership.failed", `no new certificate: ${fault.message}`, {
      key: fault.code,
      ...errorFields(fault),
    });
  }
}

/** Some two hundred modules of X.509, loaded once in a certificate's life. */
function loadRequests(): Promise<typeof import("../../common/pki/authority.ts")> {
  return import("../../common/pki/authority.ts");
}

function lifeOf(pem: string): { dueMs: number; notAfterMs: number; serial: string } {
  const { validFrom, validTo, serialNumber } = new X509Certificate(pem);
  const notBeforeMs = Date.parse(validFrom);
  const notAfterMs = Date.parse(validTo);
  const dueMs = notBeforeMs + (notAfterMs - notBeforeMs) * RENEW_AFTER;
  return { dueMs, notAfterMs, serial: serialNumber.toLowerCase() };
}
