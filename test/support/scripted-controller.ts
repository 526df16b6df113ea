/**
 * A gRPC server that says what a test tells it to say: the controller's end of the stream,
 * without a controller behind it. Real sockets, real codec.
 */
import {
  Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  status,
} from "@grpc/grpc-js";
import { TwillError } from "../../common/errors.ts";
import {
  type AgentMessage,
  type ControllerMessage,
  FabricService,
} from "../../proto/gen/twill/v1/fabric.ts";
import { Mailbox } from "./mailbox.ts";

type Call = ServerDuplexStream<AgentMessage, ControllerMessage>;
type ControllerBody = NonNullable<ControllerMessage["body"]>;
export type AgentBody = NonNullable<AgentMessage["body"]>;

/** One agent's stream as the controller sees it. */
export class ScriptedStream {
  readonly #call: Call;
  readonly #heard = new Mailbox<AgentBody>();
  readonly #ended = new Mailbox<true>();

  constructor(call: Call) {
    this.#call = call;
    call.on("data", ({ body }: AgentMessage) => {
      if (body !== undefined) this.#heard.put(body);
    });
    call.on("cancelled", () => this.#ended.put(true));
    call.on("error", () => undefined);
  }

  say(...bodies: readonly ControllerBody[]): void {
    for (const body of bodies) this.#call.write({ body });
  }

  /** Bytes of a message of a later protocol version, or of no protocol at all. */
  sayRaw(bytes: Uint8Array): void {
    this.#call.write(new RawMessage(bytes));
  }

  /** The next message of this kind; what comes before it is skipped. */
  async hears<K extends AgentBody["$case"]>(kind: K): Promise<Extract<AgentBody, { $case: K }>> {
    for (;;) {
      const body = await this.#heard.take(`the agent's ${kind}`);
      if (isKind(body, kind)) return body;
    }
  }

  /** Resolves when the agent has cancelled the call or its connection is gone. */
  async ends(): Promise<void> {
    await this.#ended.take("the agent to end the stream");
  }

  refuse(code: string, details: string): void {
    const metadata = new Metadata();
    metadata.set("twill-code", code);
    this.#call.emit("error", { code: status.PERMISSION_DENIED, details, metadata });
  }

  end(): void {
    this.#call.end();
  }
}

function isKind<K extends AgentBody["$case"]>(
  body: AgentBody,
  kind: K,
): body is Extract<AgentBody, { $case: K }> {
  return body.$case === kind;
}

/** Stands in for a message and is written as it is. */
class RawMessage implements ControllerMessage {
  readonly body = undefined;
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }
}

export class ScriptedController implements AsyncDisposable {
  readonly #server = new Server({ "grpc.max_send_message_length": -1 });
  readonly #streams = new Mailbox<ScriptedStream>();
  endpoint = "";

  static async start(
    credentials = ServerCredentials.createInsecure(),
  ): Promise<ScriptedController> {
    const controller = new ScriptedController();
    await controller.#listen(credentials);
    return controller;
  }

  /** The next stream that an agent opens. */
  stream(): Promise<ScriptedStream> {
    return this.#streams.take("an agent's stream");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.forceShutdown();
    await Promise.resolve();
  }

  async #listen(credentials: ServerCredentials): Promise<void> {
    const definition = { sync: { ...FabricService.sync, responseSerialize: serialize } };
    this.#server.addService(definition, {
      sync: (call: Call) => this.#streams.put(new ScriptedStream(call)),
    });
    const port = await new Promise<number>((resolve, reject) => {
      this.#server.bindAsync("127.0.0.1:0", credentials, (error, bound) => {
        if (error === null) resolve(bound);
        else reject(new TwillError("LISTEN_FAILED", error.message, { cause: error }));
      });
    });
    this.endpoint = `127.0.0.1:${port}`;
  }
}

function serialize(message: ControllerMessage): Buffer {
  if (message instanceof RawMessage) return Buffer.from(message.bytes);
  return FabricService.sync.responseSerialize(message);
}
