/**
 * An etcd3 duplex stream as something to iterate and to end for sure. The grpc-js stream
 * below is a Node Duplex: iterating it reads no further ahead than its small buffer, so a
 * slow consumer holds etcd back instead of filling memory.
 */
import { Duplex } from "node:stream";
import type { IDuplexStream } from "etcd3";
import { TwillError } from "../../common/errors.ts";

export class EtcdStream<Request, Response> {
  readonly #stream: IDuplexStream<Request, Response> & Duplex;

  constructor(stream: IDuplexStream<Request, Response>) {
    if (!(stream instanceof Duplex)) throw new TwillError("BUG", "etcd3's stream is no Duplex");
    this.#stream = stream;
    // Errors come out of the iteration; without a listener a late one would end the process.
    this.#stream.on("error", () => undefined);
  }

  write(request: Request): void {
    if (!this.#stream.writableEnded && !this.#stream.destroyed) this.#stream.write(request);
  }

  /** Until the stream ends; throws what ended it. */
  responses(): AsyncIterable<Response> {
    return this.#stream;
  }

  /** Ends the call at both sides; `responses` throws `reason`. */
  end(reason: Error): void {
    this.#stream.destroy(reason);
    this.#stream.cancel();
  }
}

/** An abort signal's reason as an Error. */
export function abortReason(signal: AbortSignal): Error {
  return signal.reason instanceof Error ? signal.reason : new Error("aborted");
}
