/**
 * How many connections one certificate may hold, and how often it may call. Other controllers
 * are not limited: they pass on what all their nodes ask, each of them limited where it is
 * connected. Pure bookkeeping; time is an argument.
 */
import { TwillError } from "../../../common/errors.ts";
import type { PeerCertificate } from "../tls/peer-certificate.ts";
import { TokenBuckets } from "./token-buckets.ts";

/** A node has one, and a dead one for the ten seconds until it is noticed. */
const MAX_CONNECTIONS = 16;
/** A console that asks every second, several of them, and scripts. */
const CALLS = { burst: 200, perSecond: 20 } as const;

export class PeerLimits {
  readonly #connections = new Map<string, number>();
  readonly #calls = new TokenBuckets(CALLS);

  /** Another connection of this certificate. */
  opened({ id }: PeerCertificate): void {
    this.#connections.set(id, this.#count(id) + 1);
  }

  closed({ id }: PeerCertificate): void {
    const left = this.#count(id) - 1;
    if (left > 0) this.#connections.set(id, left);
    else this.#connections.delete(id);
  }

  /** Why one more call may not be made; undefined: it may. */
  refusalOf(certificate: PeerCertificate, nowMs: number): TwillError | undefined {
    if (certificate.isController) return undefined;
    const { id, title } = certificate;
    if (this.#count(id) > MAX_CONNECTIONS) {
      return limitReached(`${title} holds ${MAX_CONNECTIONS} connections already`);
    }
    const waitMs = this.#calls.take(id, nowMs);
    if (waitMs === 0) return undefined;
    return limitReached(`${title} calls more than ${CALLS.perSecond} times a second`);
  }

  #count(id: string): number {
    return this.#connections.get(id) ?? 0;
  }
}

function limitReached(what: string): TwillError {
  return new TwillError("LIMIT_REACHED", what);
}
