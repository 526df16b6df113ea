/**
 * A watch that loses nothing and repeats nothing. One etcd watch stream at a time; whatever
 * ends it (cut connection, hung or isolated member, cancel without a reason), the next one
 * begins behind the last revision that was delivered whole, at another endpoint. Only what
 * the caller must act on comes out: compaction, refusal, abort.
 */
import type { IWatchRequest, IWatchResponse } from "etcd3";
import { backoffMs } from "../../common/async/backoff.ts";
import { TwillError } from "../../common/errors.ts";
import type { Revision } from "../../common/lease/lease.ts";
import { errorFields, type Logger } from "../../common/log.ts";
import type { CallOrigin, EtcdCalls } from "./etcd-calls.ts";
import { cancelFault, type EtcdFault, etcdFault } from "./etcd-errors.ts";
import type { EtcdKeys } from "./etcd-keys.ts";
import { ETCD_BACKOFF } from "./etcd-retry.ts";
import { abortReason, EtcdStream } from "./etcd-stream.ts";
import { WatchFold } from "./etcd-watch-fold.ts";
import type { ChangeSet } from "./store.ts";

/** A hung member takes the connection and never answers the create request. */
const CREATE_TIMEOUT_MS = 3_000;
/** A stream that lived so long was good: back-off begins anew. */
const GOOD_AFTER_MS = 5_000;

export interface WatchParts {
  readonly calls: EtcdCalls;
  readonly keys: EtcdKeys;
  readonly log: Logger;
  /** The store's revision now, read linearizably. */
  readonly revision: (signal: AbortSignal) => Promise<Revision>;
}

type WatchStream = EtcdStream<IWatchRequest, IWatchResponse>;

interface Session {
  readonly origin: CallOrigin;
  readonly stream: WatchStream;
}

export class EtcdWatch {
  readonly #parts: WatchParts;
  readonly #range: string;
  readonly #signal: AbortSignal;
  readonly #fold: WatchFold;
  #failures = 0;
  #startedMs = 0;

  constructor(parts: WatchParts, range: string, after: Revision, signal: AbortSignal) {
    this.#parts = parts;
    this.#range = range;
    this.#signal = signal;
    this.#fold = new WatchFold(parts.keys, after);
  }

  async *changes(): AsyncGenerator<ChangeSet> {
    for (;;) {
      const fault = yield* this.#untilFault();
      this.#signal.throwIfAborted();
      await this.#recover(fault);
    }
  }

  /** Yields what one stream brings; answers what ended it. */
  async *#untilFault(): AsyncGenerator<ChangeSet, EtcdFault> {
    const { calls } = this.#parts;
    let origin: CallOrigin = { endpoint: calls.endpoint, token: undefined };
    let session: Session | undefined;
    try {
      session = await this.#open(origin.endpoint);
      origin = session.origin;
      yield* this.#follow(session);
      return await calls.noted(cancelFault("the stream ended", origin.endpoint), origin);
    } catch (error) {
      this.#signal.throwIfAborted();
      if (error instanceof WatchEnd) return error.fault;
      return await calls.failed(error, origin);
    } finally {
      session?.stream.end(new TwillError("SHUTTING_DOWN", "the watch has ended"));
    }
  }

  async #open(endpoint: string): Promise<Session> {
    const { calls, keys } = this.#parts;
    const opened = await calls.open(
      endpoint,
      (client, options) => client.watchClient.watch(options),
      this.#signal,
    );
    const stream = new EtcdStream(opened.stream);
    this.#fold.restart();
    this.#startedMs = calls.clock.monotonicMs();
    stream.write({
      create_request: {
        ...keys.range(this.#range),
        start_revision: this.#fold.last + 1,
        progress_notify: true,
        // Else a catch-up can be one message of many megabytes.
        fragment: true,
      },
    });
    return { origin: opened.origin, stream };
  }

  async *#follow(session: Session): AsyncGenerator<ChangeSet> {
    using guard = this.#guard(session.stream);
    for await (const response of session.stream.responses()) {
      if (response.canceled) throw await this.#cancelled(response, session);
      if (response.created) {
        guard.created();
        await this.#begun(response, session.origin.endpoint);
      }
      for (const change of this.#fold.accept(response)) yield change;
    }
  }

  /** Ends the stream when it is not created in time, or when the caller aborts. */
  #guard(stream: WatchStream): Disposable & { created(): void } {
    const { clock } = this.#parts.calls;
    const timer = new AbortController();
    const onAbort = (): void => stream.end(abortReason(this.#signal));
    this.#signal.addEventListener("abort", onAbort, { once: true });
    const late = new Error("4 DEADLINE_EXCEEDED: the watch was not created in time");
    clock.sleep(CREATE_TIMEOUT_MS, timer.signal).then(
      () => stream.end(late),
      () => undefined,
    );
    return {
      created: () => timer.abort(),
      [Symbol.dispose]: () => {
        timer.abort();
        this.#signal.removeEventListener("abort", onAbort);
      },
    };
  }

  async #begun(response: IWatchResponse, endpoint: string): Promise<void> {
    this.#parts.calls.succeeded(endpoint);
    await this.#checkHistory(Number(response.header.revision));
    const { last } = this.#fold;
    this.#parts.log.event("watch.started", `watching "${this.#range}" after revision ${last}`, {
      endpoint,
      range: this.#range,
      from_revision: last,
    });
  }

  /**
   * etcd accepts a watch from the future and stays silent until it gets there. A member may
   * lag; when the whole store is behind us, it was restored from a backup: list again.
   */
  async #checkHistory(memberRevision: Revision): Promise<void> {
    const { last } = this.#fold;
    if (memberRevision >= last) return;
    const revision = await this.#parts.revision(this.#signal);
    if (revision >= last) return;
    const message = `etcd went back from revision ${last} to ${revision}: restored from a backup?`;
    throw new WatchEnd(fatal(new TwillError("STORE_COMPACTED", message)));
  }

  async #cancelled(response: IWatchResponse, session: Session): Promise<Error> {
    const compacted = Number(response.compact_revision);
    if (compacted > 0) {
      const message = `history up to revision ${compacted} was compacted, ${this.#fold.last} is needed`;
      const context = { compact_revision: compacted };
      return new WatchEnd(fatal(new TwillError("STORE_COMPACTED", message, { context })));
    }
    const fault = cancelFault(response.cancel_reason, session.origin.endpoint);
    // Older members say "permission denied" to a watch whose token has ended.
    const mayBeStale =
      fault.error.code === "STORE_DENIED" &&
      session.origin.token !== undefined &&
      this.#failures === 0;
    const understood = mayBeStale ? { ...fault, retry: true, staleToken: true } : fault;
    return new WatchEnd(await this.#parts.calls.noted(understood, session.origin));
  }

  /** Throws what the caller must act on; else waits until the next stream may begin. */
  async #recover(fault: EtcdFault): Promise<void> {
    const { calls, log } = this.#parts;
    if (!fault.retry) throw fault.error;
    const livedMs = calls.clock.monotonicMs() - this.#startedMs;
    if (livedMs > GOOD_AFTER_MS) this.#failures = 0;
    log.event("watch.interrupted", `the watch of "${this.#range}" was interrupted`, {
      key: this.#range,
      range: this.#range,
      from_revision: this.#fold.last,
      ...errorFields(fault.error),
    });
    const delayMs = backoffMs(ETCD_BACKOFF, this.#failures, calls.random);
    const atOnce = this.#failures === 0 && calls.hasGoodEndpoint;
    this.#failures += 1;
    if (!atOnce) await calls.clock.sleep(delayMs, this.#signal);
  }
}

/** Carries a fault that is understood already out of the iteration. */
class WatchEnd extends Error {
  readonly fault: EtcdFault;

  constructor(fault: EtcdFault) {
    super(fault.error.message, { cause: fault.error });
    this.fault = fault;
  }
}

/** A TwillError is final as it is. */
function fatal(error: TwillError): EtcdFault {
  return etcdFault(error, "");
}
