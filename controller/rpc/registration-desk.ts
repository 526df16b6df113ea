/**
 * Takes one node's requests for its lease, one at a time. A Register that comes while another
 * is under way replaces the one that waits: only what the node wants now counts. Who asks
 * all the time is answered ever more slowly, because each answer may cost etcd a transaction.
 */
import type { Clock } from "../../common/async/clock.ts";
import { type ErrorCode, TwillError } from "../../common/errors.ts";
import type { Metrics } from "../../common/metrics.ts";
import type { Register, Release } from "../../proto/gen/twill/v1/fabric.ts";
import { addressRefusalOf, type Caller } from "../auth/authorize.ts";
import { type Refused, type Registered, refused } from "../lease/allocator.ts";
import type { NodeClaim, Registrar } from "../lease/registrar.ts";
import { TokenBucket } from "./limits/token-buckets.ts";
import { decodeRegister } from "./registration-wire.ts";

export interface RegistrationDeskParts {
  readonly registrar: Registrar;
  readonly metrics: Metrics;
  readonly clock: Clock;
  /** Whose stream it is; undefined: plaintext. */
  readonly caller: Caller;
  /** Runs work whose end nobody waits for, and reports its faults. */
  readonly spawn: (work: () => Promise<void>) => void;
  readonly answer: (request: number, answer: Registered | Refused) => void;
}

const REQUESTS = { burst: 100, perSecond: 5 } as const;

export class RegistrationDesk {
  readonly #node: string;
  readonly #parts: RegistrationDeskParts;
  readonly #claim: NodeClaim;
  readonly #pace: TokenBucket;
  readonly #closed = new AbortController();
  /** Number of the newest Register; what was not asked for is told under it. */
  #request = 0;
  #isBusy = false;
  #waiting: Register | undefined;

  constructor(node: string, parts: RegistrationDeskParts) {
    this.#node = node;
    this.#parts = parts;
    this.#pace = new TokenBucket(REQUESTS, parts.clock.monotonicMs());
    this.#claim = parts.registrar.open(node, (news) => parts.answer(this.#request, news));
  }

  register(register: Register): void {
    this.#request = register.request;
    this.#waiting = register;
    if (this.#isBusy) return;
    this.#isBusy = true;
    this.#spawn(() => this.#registerAll());
  }

  /** The answer to a release is the table without the lease; only a refusal is told. */
  release({ request }: Release): void {
    this.#spawn(async () => {
      await this.#inPace();
      const answer = await this.#claim.release(this.#closed.signal);
      if (answer.kind === "refused") this.#parts.answer(request, answer);
    });
  }

  close(): void {
    this.#closed.abort(new TwillError("SHUTTING_DOWN", "the stream has ended"));
    this.#claim.close();
  }

  async #registerAll(): Promise<void> {
    try {
      for (let next = await this.#take(); next !== undefined; next = await this.#take()) {
        this.#parts.answer(next.request, await this.#registerOne(next));
      }
    } finally {
      this.#isBusy = false;
    }
  }

  /** The newest request when its turn has come; undefined: there is none. */
  async #take(): Promise<Register | undefined> {
    if (this.#waiting !== undefined) await this.#inPace();
    const next = this.#waiting;
    this.#waiting = undefined;
    return next;
  }

  async #inPace(): Promise<void> {
    const { clock, metrics } = this.#parts;
    for (;;) {
      const waitMs = this.#pace.take(clock.monotonicMs());
      if (waitMs === 0) return;
      metrics.add("twill_limited_total", { limit: "registrations" });
      await clock.sleep(waitMs, this.#closed.signal);
    }
  }

  async #registerOne(register: Register): Promise<Registered | Refused> {
    const answer = await this.#decide(register);
    this.#parts.metrics.add("twill_registrations_total", { outcome: outcomeOf(answer) });
    return answer;
  }

  async #decide(register: Register): Promise<Registered | Refused> {
    const decoded = decodeRegister(this.#node, register);
    if (decoded.kind === "malformed") return refusedForGood("PROTOCOL_VIOLATION", decoded.reason);
    const { publicIp, publicIpv6 } = decoded.request.attrs;
    const refusal = addressRefusalOf(this.#parts.caller, [publicIp, publicIpv6]);
    if (refusal !== undefined) return refusedForGood("IDENTITY_REFUSED", refusal);
    return this.#claim.register(decoded.request, this.#closed.signal);
  }

  #spawn(work: () => Promise<void>): void {
    this.#parts.spawn(async () => {
      try {
        await work();
      } catch (error) {
        // Who has gone needs no answer.
        if (!this.#closed.signal.aborted) throw error;
      }
    });
  }
}

/** Nothing about the request will get better by itself. */
function refusedForGood(code: ErrorCode, reason: string): Refused {
  return { ...refused(code, reason), retryAfterMs: 0 };
}

function outcomeOf(answer: Registered | Refused): string {
  if (answer.kind === "refused") return answer.code;
  return answer.reused ? "reused" : "acquired";
}
