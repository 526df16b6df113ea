/** One question to a node's agent about configs, answered in its kind or thrown. */
import { TwillError } from "../../common/errors.ts";
import type { Answer, ConfigState, Query } from "../../proto/gen/twill/v1/node.ts";
import { askNode, type InspectParts } from "./inspect-service.ts";
import { unavailable } from "./query-desk.ts";

const TIMEOUT_MS = 3000;

/** Which config the node's kernel equals. */
export async function askConfigState(
  parts: InspectParts,
  node: string,
  signal: AbortSignal,
): Promise<ConfigState> {
  const question = { $case: "config", value: {} } as const;
  const { outcome } = await ask(parts, node, question, signal);
  if (outcome?.$case === "config") return outcome.value;
  if (outcome?.$case === "refusal") throw unavailable(node, `says: ${outcome.value}`);
  throw new TwillError("PROTOCOL_VIOLATION", `node ${node} answered something else`);
}

function ask(
  parts: InspectParts,
  node: string,
  question: NonNullable<Query["question"]>,
  signal: AbortSignal,
): Promise<Answer> {
  const query = { number: 0, timeoutMs: TIMEOUT_MS, question };
  return askNode(parts, { node, query, forwarded: false }, signal);
}
