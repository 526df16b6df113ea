/**
 * Administrators' changes: planned by the replica that is asked, applied by the leader, who
 * is told by that replica who asked.
 */
import type { Revision } from "../../common/lease/lease.ts";
import type {
  Applied,
  ApplyRequest,
  ChangeRequest,
  ChangeServer,
  LeaderApplyRequest,
  LeaderChangeServer,
  NodePlan,
} from "../../proto/gen/twill/v1/change.ts";
import type { Caller } from "../auth/authorize.ts";
import type { ChangeDesk } from "../change/change-desk.ts";
import { answerUnary } from "./answer-unary.ts";
import { decodeApply, decodeChange, planToWire } from "./change-wire.ts";

export interface ChangeParts {
  readonly desk: ChangeDesk;
  /** What every node that holds a lease would do if this were the config. */
  readonly planNodes: (config: string, signal: AbortSignal) => Promise<readonly NodePlan[]>;
  /** Asks the leader, who may be this replica. */
  readonly askLeader: (request: LeaderApplyRequest, signal: AbortSignal) => Promise<Applied>;
}

export function createChangeService(parts: ChangeParts, signal: AbortSignal): ChangeServer {
  const change = { kind: "change" } as const;
  return {
    plan: answerUnary(signal, change, async (request: ChangeRequest, ending, caller) => {
      const planned = await parts.desk.plan(decodeChange(request), nameOf(caller), ending);
      const config = planned.kind === "plan" ? planned.config : undefined;
      const nodes = config === undefined ? [] : await parts.planNodes(config, ending);
      return planToWire(planned, nodes);
    }),
    apply: answerUnary(signal, change, (apply: ApplyRequest, ending, caller) =>
      parts.askLeader({ apply, by: nameOf(caller) }, ending),
    ),
  };
}

export function createLeaderChangeService(
  { desk }: Pick<ChangeParts, "desk">,
  signal: AbortSignal,
): LeaderChangeServer {
  return {
    apply: answerUnary(signal, { kind: "allocate" }, (request: LeaderApplyRequest, ending) =>
      applyHere(desk, request, ending),
    ),
  };
}

export async function applyHere(
  desk: ChangeDesk,
  { apply, by }: LeaderApplyRequest,
  signal: AbortSignal,
): Promise<Applied> {
  const revision: Revision = await desk.apply(decodeApply(apply), by, signal);
  return { revision };
}

/** As the journal names it. */
function nameOf(caller: Caller): string {
  if (caller?.kind !== "identity") return "anonymous (plaintext)";
  const { role, name } = caller.identity;
  return `${role}/${name}`;
}
