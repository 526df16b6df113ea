/** A controller's stream in memory: a test writes what the controller says and reads what it hears. */
import type { ControllerMessage } from "../../agent/rpc/controller-message.ts";
import type { AgentBody, ControllerStream } from "../../agent/rpc/sync-stream.ts";
import { TwillError } from "../../common/errors.ts";
import { settle } from "./manual-clock.ts";

export class FakeControllerStream implements ControllerStream {
  readonly endpoint: string;
  readonly heard: AgentBody[] = [];
  isClosed = false;
  /** While true, `send` does not resolve: a controller that does not read. */
  isStalled = false;
  readonly #pending: ControllerMessage[] = [];
  #end: TwillError | undefined;
  #wake: (() => void) | undefined;
  #rejectSend: ((error: TwillError) => void) | undefined;

  constructor(endpoint: string) {
    this.endpoint = endpoint;
  }

  /** The controller says this, and the agent has dealt with it when the promise resolves. */
  async say(...messages: readonly ControllerMessage[]): Promise<void> {
    this.#pending.push(...messages);
    this.#wake?.();
    await settle();
  }

  /** The stream ends like this. */
  async fail(error: TwillError): Promise<void> {
    this.#finish(error);
    await settle();
  }

  async *messages(): AsyncGenerator<ControllerMessage> {
    for (;;) {
      const message = this.#pending.shift();
      if (message !== undefined) yield message;
      else if (this.#end !== undefined) throw this.#end;
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }

  async send(body: AgentBody): Promise<void> {
    if (this.#end !== undefined) throw this.#end;
    this.heard.push(body);
    if (!this.isStalled) return;
    await new Promise<void>((_, reject) => {
      this.#rejectSend = reject;
    });
  }

  close(): void {
    this.isClosed = true;
    this.#finish(new TwillError("CONTROLLER_UNAVAILABLE", `${this.endpoint}: closed by this side`));
  }

  /** Kinds of what was heard, in order, heartbeats left out. */
  get kinds(): string[] {
    return this.heard.map(({ $case }) => $case).filter((kind) => kind !== "heartbeat");
  }

  #finish(error: TwillError): void {
    this.#end ??= error;
    this.#wake?.();
    this.#rejectSend?.(this.#end);
  }
}
