/**
 * One stream to one controller: generated messages on the wire, checked ones here. Reading
 * is pulled, so a slow agent slows the controller's writes and holds no queue; writing is one
 * message at a time, each awaited until it is flushed.
 */
import type { ClientDuplexStream } from "@grpc/grpc-js";
import { TwillError } from "../../common/errors.ts";
import { fromCallError } from "../../common/rpc/call-error.ts";
import type {
  AgentMessage,
  FabricClient,
  ControllerMessage as Wire,
} from "../../proto/gen/twill/v1/fabric.ts";
import { type ControllerMessage, decodeControllerMessage } from "./controller-message.ts";

export type AgentBody = NonNullable<AgentMessage["body"]>;

/** A stream as the session needs it; SyncStream over grpc-js is the only real one. */
export interface ControllerStream {
  readonly endpoint: string;
  /** Never ends by itself: throws a TwillError when the stream has ended. To be used once. */
  messages(): AsyncIterable<ControllerMessage>;
  /** Resolves when the message has left for the kernel; not to be called again before. */
  send(body: AgentBody): Promise<void>;
  /** Idempotent. `messages` and a pending `send` then throw. */
  close(): void;
}

export class SyncStream implements ControllerStream {
  readonly endpoint: string;
  readonly #client: FabricClient;
  readonly #call: ClientDuplexStream<AgentMessage, Wire>;
  /** Why the call has ended; undefined while it lives. */
  #end: TwillError | undefined;
  /** Rejects the pending write: its callback never comes once the call has ended (grpc-js). */
  #rejectWrite: ((end: TwillError) => void) | undefined;

  /** Takes over the client: it is closed with the stream. */
  constructor(client: FabricClient, endpoint: string) {
    this.endpoint = endpoint;
    this.#client = client;
    this.#call = client.sync();
    this.#call.once("error", (error: unknown) => this.#ended(fromCallError(error, endpoint)));
    this.#call.once("end", () => this.#ended(this.#endedByController()));
  }

  async *messages(): AsyncGenerator<ControllerMessage, never> {
    try {
      const wires: AsyncIterable<Wire> = this.#call.iterator({ destroyOnReturn: false });
      for await (const wire of wires) {
        yield this.#decode(wire);
      }
    } catch (error) {
      throw fromCallError(error, this.endpoint);
    }
    throw this.#endedByController();
  }

  async send(body: AgentBody): Promise<void> {
    if (this.#end !== undefined) throw this.#end;
    await new Promise<void>((resolve, reject) => {
      this.#rejectWrite = reject;
      this.#call.write({ body }, (error: unknown) => {
        if (error === undefined || error === null) resolve();
        else reject(fromCallError(error, this.endpoint));
      });
    });
    this.#rejectWrite = undefined;
  }

  close(): void {
    this.#call.cancel();
    this.#client.close();
  }

  #ended(end: TwillError): void {
    this.#end ??= end;
    this.#rejectWrite?.(this.#end);
  }

  #decode(wire: Wire): ControllerMessage {
    const message = decodeControllerMessage(wire);
    if (message.kind !== "malformed") return message;
    throw new TwillError(
      "PROTOCOL_VIOLATION",
      `controller ${this.endpoint} sent what cannot be read: ${message.reason}`,
      { context: { endpoint: this.endpoint } },
    );
  }

  #endedByController(): TwillError {
    return new TwillError(
      "CONTROLLER_UNAVAILABLE",
      `controller ${this.endpoint} ended the stream`,
      { context: { endpoint: this.endpoint } },
    );
  }
}
