/** The Inspect service: any replica answers for any node. */
import { TwillError } from "../../common/errors.ts";
import type { InspectServer } from "../../proto/gen/twill/v1/inspect.ts";
import { answerUnary } from "./answer-unary.ts";
import { type QueryDesk, unavailable } from "./query-desk.ts";
import { askReplicas, type ReplicaQueriesParts } from "./replica-queries.ts";
import { createWatch, type WatchParts } from "./watch-service.ts";

export interface InspectParts extends ReplicaQueriesParts {
  readonly desk: QueryDesk;
  readonly watch: WatchParts;
}

export function createInspectService(parts: InspectParts, signal: AbortSignal): InspectServer {
  const { desk } = parts;
  return {
    watch: createWatch(parts.watch),
    askNode: answerUnary(signal, { kind: "look" }, async (request, ending) => {
      const { node, query, forwarded } = request;
      if (query?.question === undefined) {
        throw new TwillError("PROTOCOL_VIOLATION", `node ${node} is asked nothing that is known`);
      }
      if (desk.serves(node)) return desk.ask(node, query, ending);
      if (forwarded) throw unavailable(node, "has no stream with this controller");
      return askReplicas(request, parts, ending);
    }),
  };
}
