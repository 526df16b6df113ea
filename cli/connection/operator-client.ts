/** Calls to the controllers' Operator service: one short-lived client per controller asked. */
import { readFile } from "node:fs/promises";
import {
  type ChannelCredentials,
  type Client,
  type ClientUnaryCall,
  credentials,
  Metadata,
  type ServiceError,
  status,
} from "@grpc/grpc-js";
import { TwillError } from "../../common/errors.ts";
import { type NodeOutcome, outcomeOf, type Question } from "../../common/explain/gather.ts";
import { fromCallError } from "../../common/rpc/call-error.ts";
import { unaryCall } from "../../common/rpc/unary-call.ts";
import { InspectClient, type WatchBatch } from "../../proto/gen/twill/v1/inspect.ts";
import type { Answer as NodeAnswer } from "../../proto/gen/twill/v1/node.ts";
import { OperatorClient, type Status } from "../../proto/gen/twill/v1/operator.ts";
import type { Connection, TlsFiles } from "./connection.ts";

const STATUS_DEADLINE_MS = 5_000;
const MAX_MESSAGE_BYTES = 64 << 20;

/** A change is made by the leader, which may have to be found first. */
const CALL_DEADLINE_MS = 20_000;
const CHANNEL_OPTIONS = {
  "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
  "grpc.enable_channelz": 0,
  "grpc.service_config_disable_resolution": 1,
};

type ServiceClient<C extends Client> = new (
  address: string,
  credentials: ChannelCredentials,
  options: typeof CHANNEL_OPTIONS,
) => C;

/** Makes one unary call; the generated clients' methods have this form. */
type Call<C, T> = (
  client: C,
  metadata: Metadata,
  options: { readonly deadline: Date },
  done: (error: ServiceError | null, reply: T) => void,
) => ClientUnaryCall;

/** What one controller said, or why it did not. */
export type Answer<T> =
  | { readonly kind: "answer"; readonly controller: string; readonly value: T }
  | { readonly kind: "silent"; readonly controller: string; readonly reason: string };

export class Operator {
  readonly #connection: Connection;
  readonly #credentials: ChannelCredentials;

  private constructor(connection: Connection, channel: ChannelCredentials) {
    this.#connection = connection;
    this.#credentials = channel;
  }

  static async connect(connection: Connection): Promise<Operator> {
    return new Operator(connection, await channelCredentials(connection.tls));
  }

  /** Status from the first controller that answers. */
  async firstStatus(): Promise<Status> {
    const reasons: string[] = [];
    for (const controller of this.#connection.controllers) {
      const answer = await this.statusOf(controller);
      if (answer.kind === "answer") return answer.value;
      reasons.push(`${controller}: ${answer.reason}`);
    }
    throw nobodyAnswers(reasons);
  }

  /** Status as this controller sees it; silence is an answer too. */
  async statusOf(controller: string): Promise<Answer<Status>> {
    try {
      const value = await this.#callOne<OperatorClient, Status>(
        controller,
        OperatorClient,
        (client, metadata, options, done) => client.getStatus({}, metadata, options, done),
        STATUS_DEADLINE_MS,
      );
      return { kind: "answer", controller, value };
    } catch (error) {
      return { kind: "silent", controller, reason: reasonOf(error) };
    }
  }

  /**
   * One call of any service of the controllers, at the first that answers. What a controller
   * says against the request is thrown as it is: another would say the same.
   */
  async call<C extends Client, T>(service: ServiceClient<C>, call: Call<C, T>): Promise<T> {
    const reasons: string[] = [];
    for (const controller of this.#connection.controllers) {
      try {
        return await this.#callOne(controller, service, call, CALL_DEADLINE_MS);
      } catch (error) {
        const fault = fromCallError(error, controller);
        if (!isElsewhere(fault)) throw fault;
        reasons.push(`${controller}: ${fault.message}`);
      }
    }
    throw nobodyAnswers(reasons);
  }

  /**
   * What a node's agent answers; controllers pass the question on to it. Throws NODE_UNAVAILABLE
   * when the node cannot be asked.
   */
  async askNode(node: string, question: Question, timeoutMs: number): Promise<NodeOutcome> {
    const request = { node, query: { number: 0, timeoutMs, question }, forwarded: false };
    const answer = await this.call<InspectClient, NodeAnswer>(
      InspectClient,
      (client, metadata, options, done) => client.askNode(request, metadata, options, done),
    );
    return outcomeOf(node, answer);
  }

  async #callOne<C extends Client, T>(
    controller: string,
    service: ServiceClient<C>,
    call: Call<C, T>,
    deadlineMs: number,
  ): Promise<T> {
    const client = new service(controller, this.#credentials, CHANNEL_OPTIONS);
    const options = { deadline: new Date(Date.now() + deadlineMs) };
    try {
      return await unaryCall<T>((done) => call(client, new Metadata(), options, done));
    } finally {
      client.close();
    }
  }

  /** What this controller sees happen, until the signal or the stream's end; answers why it ended. */
  async watch(
    controller: string,
    kinds: readonly string[],
    hear: (batch: WatchBatch) => void,
    signal: AbortSignal,
  ): Promise<string> {
    const client = new InspectClient(controller, this.#credentials, {
      ...CHANNEL_OPTIONS,
      "grpc.keepalive_time_ms": 10_000,
      "grpc.keepalive_timeout_ms": 6000,
    });
    const call = client.watch({ kinds: [...kinds] });
    const cancel = (): void => call.cancel();
    signal.addEventListener("abort", cancel, { once: true });
    try {
      return await new Promise((resolve) => {
        call.on("data", hear);
        call.once("error", (error: unknown) => resolve(reasonOf(error)));
        call.once("end", () => resolve("it ended the stream"));
      });
    } finally {
      signal.removeEventListener("abort", cancel);
      client.close();
    }
  }
}

function nobodyAnswers(reasons: readonly string[]): TwillError {
  return new TwillError("CONTROLLER_UNAVAILABLE", `no controller answers (${reasons.join("; ")})`);
}

/** Nobody there, or one who cannot help now: the next may. */
function isElsewhere({ code }: TwillError): boolean {
  return ELSEWHERE.has(code);
}

/** Another controller may do it. */
const ELSEWHERE: ReadonlySet<string> = new Set([
  ...["CONTROLLER_UNAVAILABLE", "SHUTTING_DOWN", "NOT_LEADER", "ENROLMENT_OFF"],
]);

function reasonOf(error: unknown): string {
  if (!isServiceError(error)) return error instanceof Error ? error.message : String(error);
  if (error.code === status.DEADLINE_EXCEEDED) return "no answer in time";
  if (error.code === status.UNAUTHENTICATED || error.code === status.PERMISSION_DENIED) {
    return `refused: ${error.details}`;
  }
  return error.details;
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && "details" in error && "code" in error;
}

async function channelCredentials(tls: TlsFiles | undefined): Promise<ChannelCredentials> {
  if (tls === undefined) return credentials.createInsecure();
  const [ca, key, cert] = await Promise.all([tls.ca, tls.key, tls.cert].map(readTlsFile));
  return credentials.createSsl(ca ?? null, key ?? null, cert ?? null);
}

async function readTlsFile(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new TwillError("OPTION_INVALID", `cannot read ${path}`, { cause: error });
  }
}
