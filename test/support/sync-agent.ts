/**
 * An agent as far as the stream is concerned: says Hello, keeps a real peer table by what it
 * hears, registers and acknowledges. No kernel.
 */
import {
  type ChannelCredentials,
  Client,
  type ClientDuplexStream,
  credentials,
} from "@grpc/grpc-js";
import { PeerTable } from "../../agent/peers/peer-table.ts";
import { decodeControllerMessage } from "../../agent/rpc/controller-message.ts";
import type { TwillError } from "../../common/errors.ts";
import { fromCallError } from "../../common/rpc/call-error.ts";
import {
  type AgentMessage,
  type ControllerMessage,
  FabricService,
  type Hello,
  type Register,
} from "../../proto/gen/twill/v1/fabric.ts";
import { until } from "../../scripts/testbed/poll.ts";

export type AgentBody = NonNullable<AgentMessage["body"]>;
export type ControllerBody = NonNullable<ControllerMessage["body"]>;
type Case = ControllerBody["$case"];

/** Refusals that mean "ask again soon". */
const FOR_NOW = new Set([
  "NOT_LEADER",
  "CONTROLLER_UNAVAILABLE",
  "STORE_UNAVAILABLE",
  "STORE_TIMEOUT",
]);

/** A channel of its own: connections are not shared between clients. */
function openClient(address: string, channel: ChannelCredentials): Client {
  return new Client(address, channel, {
    "grpc.use_local_subchannel_pool": 1,
    "grpc.max_receive_message_length": 4 * 1024 * 1024,
  });
}

export class SyncAgent {
  readonly node: string;
  readonly table: PeerTable;
  readonly heard: ControllerBody[] = [];
  readonly #call: ClientDuplexStream<AgentMessage, ControllerMessage>;
  readonly #client: Client;
  #end: TwillError | undefined;
  #request = 0;

  constructor(
    node: string,
    address: string,
    table: PeerTable = new PeerTable(),
    channel: ChannelCredentials = credentials.createInsecure(),
  ) {
    this.node = node;
    this.table = table;
    this.#client = openClient(address, channel);
    const { path, requestSerialize, responseDeserialize } = FabricService.sync;
    this.#call = this.#client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
    this.#call.on("data", (message: ControllerMessage) => this.#hear(message));
    this.#call.on("error", (error: unknown) => {
      this.#end ??= fromCallError(error, "test");
    });
  }

  /** Why the stream ended; undefined while it lives. */
  get end(): TwillError | undefined {
    return this.#end;
  }

  of<C extends Case>(name: C): readonly Extract<ControllerBody, { $case: C }>[] {
    return this.heard.filter(
      (body): body is Extract<ControllerBody, { $case: C }> => body.$case === name,
    );
  }

  send(body: AgentBody): this {
    this.#call.write({ body });
    return this;
  }

  hello(more: Partial<Hello> = {}): this {
    const { position } = this.table;
    const value = {
      node: this.node,
      version: "test",
      process: "",
      features: [],
      ...position,
      ...more,
    };
    return this.send({ $case: "hello", value });
  }

  register(request: number, publicIp: string, more: Partial<Register> = {}): this {
    const value = {
      request,
      publicIp,
      publicIpv6: "",
      backendType: "vxlan",
      backendData: '{"VNI":1,"VtepMAC":"aa:bb:cc:00:00:01"}',
      backendV6Data: "",
      previousSubnet: "",
      ...more,
    };
    return this.send({ $case: "register", value });
  }

  /** Says that the kernel equals the table. */
  ack(): this {
    const { position } = this.table;
    return this.send({ $case: "ack", value: { ...position, failures: [], applyMs: 0 } });
  }

  /** Registers as agents do, again while there is no leader; the answer as `answered` has it. */
  async obtain(publicIp: string, more: Partial<Register> = {}): Promise<string> {
    for (;;) {
      this.#request += 1;
      const answer = await this.register(this.#request, publicIp, more).answered(this.#request);
      if (!FOR_NOW.has(answer)) return answer;
    }
  }

  /** The answer to a request, a lease's key or a refusal's code. */
  async answered(request: number): Promise<string> {
    return this.until(`an answer to request ${request}`, () => {
      const granted = this.of("registered").find(({ value }) => value.request === request);
      const refused = this.of("refused").find(({ value }) => value.request === request);
      return granted?.value.lease?.key ?? refused?.value.code;
    });
  }

  async inSync(): Promise<this> {
    await this.until("a table in sync", () => this.table.isInSync || undefined);
    return this;
  }

  async ended(): Promise<TwillError> {
    return until(`the end of ${this.node}'s stream`, { deadlineMs: 20_000 }, () => this.#end);
  }

  async until<T>(what: string, read: () => T | undefined): Promise<T> {
    return until(`${this.node}: ${what}`, { deadlineMs: 20_000 }, () => {
      if (this.#end !== undefined) throw this.#end;
      return read();
    });
  }

  close(): void {
    this.#call.cancel();
    this.#client.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #hear(message: ControllerMessage): void {
    if (message.body !== undefined) this.heard.push(message.body);
    const decoded = decodeControllerMessage(message);
    if (decoded.kind === "welcome") this.table.welcome(decoded.instance);
    if (decoded.kind !== "table") return;
    const outcome = this.table.apply(decoded.table);
    if (outcome.kind === "out-of-step") throw new Error(`${this.node}: ${outcome.reason}`);
  }
}
