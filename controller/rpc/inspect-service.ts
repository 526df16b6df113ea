/** The Inspect service: any replica answers for any node. */
import { TwillError } from "../../common/errors.ts";
import type { AskNodeRequest, InspectServer } from "../../proto/gen/twill/v1/inspect.ts";
import type { Answer } from "../../proto/gen/twill/v1/node.ts";
import { answerUnary } from "./answer-unary.ts";
import { type QueryDesk, unavailable } from "./query-desk.ts";
import { askReplicas, type ReplicaQueriesParts } from "./replica-queries.ts";
import { createWatch, type WatchParts } from "./watch-service.ts";

export interface InspectParts extends ReplicaQueriesParts {
  readonly desk: QueryDesk;
  readonly watch: WatchParts;
}

export function createInspectService(parts: InspectParts, signal: AbortSignal): InspectServer {
  return {
    watch: createWatch(parts.watch),
    askNode: answerUnary(signal, { kind: "look" }, (request, ending) =>
      askNode(parts, request, ending),
    ),
  };
}

/** Here when its stream is here, else through the replica that has it. */
export async function askNode(
  parts: InspectParts,
  request: AskNodeRequest,
  signal: AbortSignal,
): Promise<Answer> {
  const { desk } = parts;
  const { node, query, forwarded } = request;
  if (query?.question === undefined) {
    throw new TwillError("PROTOCOL_VIOLATION", `node ${node} is asked nothing that is known`);
  }
  if (desk.serves(node)) return desk.ask(node, query, signal);
  if (forwarded) throw unavailable(node, "has no stream with this controller");
  return askReplicas(request, parts, signal);
}
