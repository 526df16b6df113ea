/**
 * Runs calls against etcd: chooses the endpoint, adds token and deadline, translates what is
 * thrown, remembers bad endpoints, retries as etcd-retry.ts decides, and tells StoreState.
 * Streams open through it too, but end in the hands of whoever opened them.
 */
import type { CallOptions } from "@grpc/grpc-js";
import type { Etcd3 } from "etcd3";
import type { Clock } from "../../common/async/clock.ts";
import { EtcdAuth } from "./etcd-auth.ts";
import { callOptions } from "./etcd-call-options.ts";
import type { EtcdConnections } from "./etcd-connections.ts";
import type { Endpoints } from "./etcd-endpoints.ts";
import { type EtcdFault, etcdFault } from "./etcd-errors.ts";
import type { EtcdUser } from "./etcd-options.ts";
import { type CallMode, decideRetry, ETCD_RETRY, type RetryPolicy } from "./etcd-retry.ts";
import type { StoreState } from "./store-state.ts";

/** First attempt of a read; a hung member costs this once, then it is avoided. */
const READ_TIMEOUT_MS = 2_000;
/** A write is tried once, so it gets longer: an unknown outcome costs the caller more. */
const WRITE_TIMEOUT_MS = 5_000;
/** bcrypt at its default cost takes etcd about 60 ms; a queue of them longer. */
const AUTHENTICATE_TIMEOUT_MS = 5_000;

export interface EtcdCallParts {
  readonly connections: EtcdConnections;
  readonly endpoints: Endpoints;
  readonly user: EtcdUser | undefined;
  readonly state: StoreState;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly retry?: RetryPolicy;
}

/** A call of an etcd3 client with options that carry token, deadline and abort. */
export type EtcdOperation<T> = (client: Etcd3, options: CallOptions) => Promise<T>;

/** Where a call went, and with which token. */
export interface CallOrigin {
  readonly endpoint: string;
  readonly token: string | undefined;
}

export interface OpenStream<S> {
  readonly origin: CallOrigin;
  readonly stream: S;
}

export class EtcdCalls {
  readonly #parts: EtcdCallParts;
  readonly #auth: EtcdAuth;
  readonly #retry: RetryPolicy;

  constructor(parts: EtcdCallParts) {
    this.#parts = parts;
    this.#retry = parts.retry ?? ETCD_RETRY;
    this.#auth = new EtcdAuth(parts.user, async ({ username, password }, endpoint) => {
      const { auth } = parts.connections.client(endpoint);
      const options = { deadline: Date.now() + AUTHENTICATE_TIMEOUT_MS };
      return (await auth.authenticate({ name: username, password }, options)).token;
    });
  }

  get clock(): Clock {
    return this.#parts.clock;
  }

  get random(): number {
    return this.#parts.random();
  }

  /** Retried within the budget; for what may safely happen twice. */
  read<T>(operation: EtcdOperation<T>, signal: AbortSignal): Promise<T> {
    return this.#run("read", operation, signal);
  }

  /** Repeated only when it surely did nothing; STORE_TIMEOUT: outcome unknown. */
  write<T>(operation: EtcdOperation<T>, signal: AbortSignal): Promise<T> {
    return this.#run("write", operation, signal);
  }

  /** Where the next call goes. */
  get endpoint(): string {
    return this.#parts.endpoints.choose(this.clock.monotonicMs());
  }

  get hasGoodEndpoint(): boolean {
    return this.#parts.endpoints.hasGood(this.clock.monotonicMs());
  }

  /** One attempt to open a stream at an endpoint; what it throws is for `failed`. */
  async open<S>(
    endpoint: string,
    operation: EtcdOperation<S>,
    signal: AbortSignal,
  ): Promise<OpenStream<S>> {
    signal.throwIfAborted();
    const token = await this.#auth.token(endpoint);
    const client = this.#parts.connections.client(endpoint);
    const stream = await operation(client, callOptions({ token, signal, timeoutMs: undefined }));
    return { origin: { endpoint, token }, stream };
  }

  succeeded(endpoint: string): void {
    this.#parts.endpoints.succeeded(endpoint);
    this.#parts.state.succeeded(endpoint);
  }

  /** What a failure means, after everybody who must know of it was told. */
  failed(thrown: unknown, origin: CallOrigin): Promise<EtcdFault> {
    return this.noted(etcdFault(thrown, origin.endpoint), origin);
  }

  /** The same for a fault that is understood already. */
  async noted(understood: EtcdFault, { endpoint, token }: CallOrigin): Promise<EtcdFault> {
    const { endpoints, state, clock, connections } = this.#parts;
    const fault = this.#withoutUser(understood);
    if (fault.staleToken) this.#auth.invalidate(token);
    if (fault.tls) await connections.reloadTls();
    if (fault.blame) endpoints.failed(endpoint, clock.monotonicMs());
    if (fault.outage) state.failed(fault.error);
    return fault;
  }

  async #run<T>(mode: CallMode, operation: EtcdOperation<T>, signal: AbortSignal): Promise<T> {
    const startedMs = this.clock.monotonicMs();
    for (let attempt = 0; ; attempt += 1) {
      const timeoutMs = mode === "read" ? readTimeoutMs(attempt) : WRITE_TIMEOUT_MS;
      const outcome = await this.#attempt(timeoutMs, operation, signal);
      if (outcome.kind === "answer") return outcome.answer;
      signal.throwIfAborted();
      const decision = decideRetry(this.#retry, {
        mode,
        fault: outcome.fault,
        attempt,
        elapsedMs: this.clock.monotonicMs() - startedMs,
        hasGoodEndpoint: this.hasGoodEndpoint,
        random: this.random,
      });
      if (decision.kind === "stop") throw decision.error;
      await this.clock.sleep(decision.delayMs, signal);
    }
  }

  async #attempt<T>(
    timeoutMs: number,
    operation: EtcdOperation<T>,
    signal: AbortSignal,
  ): Promise<AttemptOutcome<T>> {
    signal.throwIfAborted();
    const { endpoint } = this;
    let token: string | undefined;
    try {
      token = await this.#auth.token(endpoint);
      const client = this.#parts.connections.client(endpoint);
      const answer = await operation(client, callOptions({ token, signal, timeoutMs }));
      this.succeeded(endpoint);
      return { kind: "answer", answer };
    } catch (error) {
      signal.throwIfAborted();
      return { kind: "fault", fault: await this.failed(error, { endpoint, token }) };
    }
  }

  /** Without a user there is no token to fetch anew: the refusal is final. */
  #withoutUser(fault: EtcdFault): EtcdFault {
    if (!fault.staleToken || this.#auth.isEnabled) return fault;
    return { ...fault, retry: false, staleToken: false, outage: true };
  }
}

type AttemptOutcome<T> =
  | { readonly kind: "answer"; readonly answer: T }
  | { readonly kind: "fault"; readonly fault: EtcdFault };

/** Each attempt may take longer than the one before: etcd may be slow and not hung. */
function readTimeoutMs(attempt: number): number {
  return READ_TIMEOUT_MS * 2 ** Math.min(attempt, 2);
}
