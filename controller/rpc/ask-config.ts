/** Questions to nodes' agents about configs: which one the kernel equals, what another would change. */
import { Slots } from "../../common/async/slots.ts";
import { TwillError } from "../../common/errors.ts";
import type { NodePlan } from "../../proto/gen/twill/v1/change.ts";
import type { Answer, ConfigState, Query } from "../../proto/gen/twill/v1/node.ts";
import type { ViewService } from "../view/view-service.ts";
import { askNode, type InspectParts } from "./inspect-service.ts";
import { unavailable } from "./query-desk.ts";

const TIMEOUT_MS = 3000;
const ASKED_AT_ONCE = 32;

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

/** What each node that holds a lease would do if this were the config. */
export async function planNodes(
  parts: {
    readonly inspecting: InspectParts;
    readonly views: ViewService;
    readonly config: string;
  },
  signal: AbortSignal,
): Promise<readonly NodePlan[]> {
  const { inspecting, views, config } = parts;
  const slots = new Slots(ASKED_AT_ONCE);
  const nodes = [...views.view.table.rows.values()].map(({ lease }) => lease.node);
  return Promise.all(
    nodes
      .filter((node) => node !== "")
      .toSorted()
      .map((node) => slots.run(() => planNode(inspecting, { node, config }, signal))),
  );
}

async function planNode(
  parts: InspectParts,
  { node, config }: { readonly node: string; readonly config: string },
  signal: AbortSignal,
): Promise<NodePlan> {
  const question = { $case: "configPlan", value: { json: config } } as const;
  try {
    const { outcome } = await ask(parts, node, question, signal);
    if (outcome?.$case === "configPlan") return { node, plan: outcome.value, silence: "" };
    const silence = outcome?.$case === "refusal" ? outcome.value : "it answered something else";
    return { node, plan: undefined, silence };
  } catch (error) {
    signal.throwIfAborted();
    const fault = TwillError.from(error);
    if (fault.code === "BUG") throw fault;
    return { node, plan: undefined, silence: fault.message };
  }
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
