/**
 * Keep-alives of all etcd leases over one shared stream (measured: 5,600 a second pipelined,
 * 2,000 with a stream per call). Answers are matched by lease id, in the order asked. A
 * member that does not answer while others wait is left within seconds, and what it owes is
 * asked again elsewhere: an etcd lease must not end because one member of three hangs.
 */
import type { ILeaseKeepAliveRequest, ILeaseKeepAliveResponse } from "etcd3";
import { backoffMs } from "../../common/async/backoff.ts";
import { LinkedSignal } from "../../common/async/linked-signal.ts";
import { Trigger } from "../../common/async/trigger.ts";
import type { EtcdLeaseId } from "../../common/lease/lease.ts";
import type { CallOrigin, EtcdCalls } from "./etcd-calls.ts";
import { cancelFault, type EtcdFault } from "./etcd-errors.ts";
import { ETCD_BACKOFF, ETCD_RETRY } from "./etcd-retry.ts";
import { abortReason, EtcdStream } from "./etcd-stream.ts";

/** A stream that answers nothing for so long while requests wait is hung. */
const SILENCE_MS = 2_000;

type KeepAliveStream = EtcdStream<ILeaseKeepAliveRequest, ILeaseKeepAliveResponse>;

interface Waiting {
  readonly startedMs: number;
  readonly settle: (ttlSeconds: number | undefined) => void;
  readonly fail: (error: Error) => void;
  /** Nobody waits any more; kept because its answer is still to come. */
  isDone: boolean;
}

export class EtcdKeepAlive {
  readonly #calls: EtcdCalls;
  readonly #waiting = new Map<EtcdLeaseId, Waiting[]>();
  readonly #asked = new Trigger();
  #stream: KeepAliveStream | undefined;
  /** When the stream last answered, or was asked after a rest. */
  #activeMs = 0;
  #failures = 0;

  constructor(calls: EtcdCalls) {
    this.#calls = calls;
  }

  /** The new TTL in seconds; undefined: the etcd lease is gone. Needs `run`. */
  keepAlive(id: EtcdLeaseId, signal: AbortSignal): Promise<number | undefined> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(abortReason(signal));
        return;
      }
      const end = (): void => {
        waiting.isDone = true;
        signal.removeEventListener("abort", onAbort);
      };
      const waiting: Waiting = {
        startedMs: this.#calls.clock.monotonicMs(),
        settle: (ttlSeconds) => {
          end();
          resolve(ttlSeconds);
        },
        fail: (error) => {
          end();
          reject(error);
        },
        isDone: false,
      };
      const onAbort = (): void => waiting.fail(abortReason(signal));
      signal.addEventListener("abort", onAbort, { once: true });
      this.#ask(id, waiting);
    });
  }

  /** Serves `keepAlive` until aborted; then whoever still waits is told. */
  async run(signal: AbortSignal): Promise<void> {
    try {
      for (;;) {
        if (this.#waiting.size === 0) await this.#asked.wait(signal);
        const fault = await this.#serve(signal);
        await this.#recover(fault, signal);
      }
    } finally {
      this.#failAll(abortReason(signal), () => true);
    }
  }

  #ask(id: EtcdLeaseId, waiting: Waiting): void {
    if (this.#waiting.size === 0) this.#activeMs = this.#calls.clock.monotonicMs();
    const queue = this.#waiting.get(id);
    if (queue === undefined) this.#waiting.set(id, [waiting]);
    else queue.push(waiting);
    this.#stream?.write({ ID: id });
    this.#asked.kick();
  }

  /** Runs one stream to its end; answers what ended it. */
  async #serve(signal: AbortSignal): Promise<EtcdFault> {
    const calls = this.#calls;
    using session = new LinkedSignal(signal);
    let watchdog: Promise<void> | undefined;
    let origin: CallOrigin = { endpoint: calls.endpoint, token: undefined };
    let stream: KeepAliveStream | undefined;
    try {
      const opened = await calls.open(
        origin.endpoint,
        (client, options) => client.leaseClient.leaseKeepAlive(options),
        signal,
      );
      origin = opened.origin;
      stream = new EtcdStream(opened.stream);
      this.#askAgain(stream);
      watchdog = this.#endWhenSilent(stream, session.signal);
      for await (const response of stream.responses()) this.#answered(response, origin);
      return await calls.noted(cancelFault("the stream ended", origin.endpoint), origin);
    } catch (error) {
      signal.throwIfAborted();
      return await calls.failed(error, origin);
    } finally {
      this.#stream = undefined;
      session.abort();
      stream?.end(new Error("the keep-alive stream has ended"));
      await watchdog;
    }
  }

  /** A new stream owes every answer that the old one did. */
  #askAgain(stream: KeepAliveStream): void {
    for (const [id, queue] of this.#waiting) {
      const open = queue.filter((waiting) => !waiting.isDone);
      if (open.length === 0) this.#waiting.delete(id);
      else this.#waiting.set(id, open);
      for (const _ of open) stream.write({ ID: id });
    }
    this.#activeMs = this.#calls.clock.monotonicMs();
    this.#stream = stream;
  }

  #answered(response: ILeaseKeepAliveResponse, origin: CallOrigin): void {
    this.#activeMs = this.#calls.clock.monotonicMs();
    this.#failures = 0;
    this.#calls.succeeded(origin.endpoint);
    const queue = this.#waiting.get(response.ID);
    const first = queue?.shift();
    if (queue?.length === 0) this.#waiting.delete(response.ID);
    const ttlSeconds = Number(response.TTL);
    if (first?.isDone === false) first.settle(ttlSeconds > 0 ? ttlSeconds : undefined);
  }

  /** Ends the stream when it owes answers and is silent, or on abort. Never rejects. */
  async #endWhenSilent(stream: KeepAliveStream, signal: AbortSignal): Promise<void> {
    const { clock } = this.#calls;
    try {
      for (;;) {
        const silentMs = this.#waiting.size === 0 ? 0 : clock.monotonicMs() - this.#activeMs;
        if (silentMs >= SILENCE_MS) break;
        await clock.sleep(SILENCE_MS - silentMs, signal);
      }
      stream.end(new Error("4 DEADLINE_EXCEEDED: keep-alives are not answered"));
    } catch {
      stream.end(abortReason(signal));
    }
  }

  async #recover(fault: EtcdFault, signal: AbortSignal): Promise<void> {
    const { clock, random, hasGoodEndpoint } = this.#calls;
    const nowMs = clock.monotonicMs();
    const isOver = (waiting: Waiting): boolean =>
      !fault.retry || nowMs - waiting.startedMs >= ETCD_RETRY.budgetMs;
    this.#failAll(fault.error, isOver);
    const delayMs = backoffMs(ETCD_BACKOFF, this.#failures, random);
    const atOnce = this.#failures === 0 && hasGoodEndpoint;
    this.#failures += 1;
    if (!atOnce) await clock.sleep(delayMs, signal);
  }

  /** No stream is open: who has waited long enough is told, done ones are forgotten. */
  #failAll(error: Error, isOver: (waiting: Waiting) => boolean): void {
    for (const [id, queue] of this.#waiting) {
      for (const waiting of queue) if (!waiting.isDone && isOver(waiting)) waiting.fail(error);
      const open = queue.filter((waiting) => !waiting.isDone);
      if (open.length === 0) this.#waiting.delete(id);
      else this.#waiting.set(id, open);
    }
  }
}
