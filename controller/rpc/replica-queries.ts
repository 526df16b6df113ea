/**
 * A question about a node whose stream another replica serves: all other replicas that stand
 * for election are asked at once, and the one that has the stream answers. Short-lived
 * channels: it happens when a person asks, not with the traffic.
 */
import { type ChannelCredentials, Metadata } from "@grpc/grpc-js";
import { TwillError } from "../../common/errors.ts";
import { onlyCall } from "../../common/rpc/unary-call.ts";
import { type AskNodeRequest, InspectClient } from "../../proto/gen/twill/v1/inspect.ts";
import type { Answer } from "../../proto/gen/twill/v1/node.ts";
import { unavailable } from "./query-desk.ts";
import { REPLICA_CHANNEL } from "./replica-channel.ts";

export interface ReplicaQueriesParts {
  /** "host:port" of every replica but this one. */
  readonly others: () => readonly string[];
  readonly credentials: () => ChannelCredentials;
  readonly wallMs: () => number;
}

/** The other replica waits a little longer than the agent may take. */
const GRACE_MS = 2000;

/** Throws NODE_UNAVAILABLE when no replica has the node's stream, or what the one that has says. */
export async function askReplicas(
  request: AskNodeRequest,
  parts: ReplicaQueriesParts,
  signal: AbortSignal,
): Promise<Answer> {
  const others = parts.others();
  const over = new AbortController();
  const stop = (): void => over.abort(signal.reason);
  signal.addEventListener("abort", stop, { once: true });
  try {
    return await Promise.any(others.map((address) => askOne(address, request, parts, over.signal)));
  } catch (error) {
    signal.throwIfAborted();
    throw bestRefusal(request.node, error);
  } finally {
    signal.removeEventListener("abort", stop);
    over.abort();
  }
}

/** One that has the stream knows why it failed; the others only that they have it not. */
function bestRefusal(node: string, error: unknown): TwillError {
  const errors: readonly unknown[] = error instanceof AggregateError ? error.errors : [error];
  const reasons = errors.map((one) => TwillError.from(one));
  const known = reasons.find(
    ({ code, message }) => code === "NODE_UNAVAILABLE" && !message.includes("has no stream"),
  );
  return known ?? unavailable(node, "has no stream with any controller: is its agent running?");
}

async function askOne(
  address: string,
  request: AskNodeRequest,
  { credentials, wallMs }: ReplicaQueriesParts,
  signal: AbortSignal,
): Promise<Answer> {
  const client = new InspectClient(address, credentials(), {
    ...REPLICA_CHANNEL,
    "grpc.enable_retries": 0,
  });
  const deadline = wallMs() + (request.query?.timeoutMs ?? 0) + GRACE_MS;
  const forwarded = { ...request, forwarded: true };
  return onlyCall<Answer>(
    client,
    address,
    (done) => client.askNode(forwarded, new Metadata(), { deadline }, done),
    signal,
  );
}
