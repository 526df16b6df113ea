/** The way of every change: the plan is shown, and only with --yes the same is carried out. */
import { type Command, Option } from "commander";
import {
  type Applied,
  ChangeClient,
  type ChangePlan,
  type ChangeRequest,
  type NodePlan,
} from "../../proto/gen/twill/v1/change.ts";
import type { OperationCount } from "../../proto/gen/twill/v1/node.ts";
import type { Session } from "../verbs/look-verbs.ts";

export interface ChangeFlags {
  readonly yes?: true;
  /** Milliseconds. */
  readonly timeout?: number;
}

/** Adds --yes to a verb that changes something. */
export function withYes(command: Command): Command {
  return command.addOption(new Option("--yes", "do it; without it the plan is only shown"));
}

/** Answers the revision of what was done, 0: nothing was. */
export async function change(
  session: Session,
  request: NonNullable<ChangeRequest["change"]>,
  { yes, timeout = 0 }: ChangeFlags,
): Promise<number> {
  const operator = await session.operator();
  const asked = { change: request, timeoutMs: timeout };
  const plan = await operator.call<ChangeClient, ChangePlan>(ChangeClient, (client, ...rest) =>
    client.plan(asked, ...rest),
  );
  if (plan.steps.length === 0 || yes !== true) {
    show(session, plan);
    return 0;
  }
  const { revision } = await operator.call<ChangeClient, Applied>(ChangeClient, (client, ...rest) =>
    client.apply({ change: asked, basis: plan.basis }, ...rest),
  );
  if (session.terminal.isForScripts) session.terminal.value({ ...plan, revision });
  else session.terminal.lines([...linesOf(plan), `done at revision ${revision}`]);
  return revision;
}

function show({ terminal }: Session, plan: ChangePlan): void {
  if (terminal.isForScripts) terminal.value(plan);
  else if (plan.steps.length === 0) terminal.lines(["nothing to do", ...plan.warnings]);
  else terminal.lines([...linesOf(plan), "nothing was changed: repeat it with --yes"]);
}

function linesOf({ steps, warnings, nodes }: ChangePlan): readonly string[] {
  return [
    ...steps.map((step) => `- ${step}`),
    ...nodes.map(nodeLine),
    ...warnings.map((warning) => `! ${warning}`),
  ];
}

/** "  node1: route +2, fdb -2, link -1; MTU of new containers 1450 to 1500" */
function nodeLine({ node, plan, silence }: NodePlan): string {
  if (plan === undefined) return `! ${node}: not known: ${silence}`;
  if (plan.refusal !== "") return `! ${node} cannot: ${plan.refusal}`;
  const { mtuBytesBefore: before, mtuBytesAfter: after } = plan;
  const mtu = before === after ? "" : `; MTU of new containers ${before} to ${after}`;
  const counts = plan.operations.map(countText).join(", ");
  return `  ${node}: ${counts === "" ? "nothing in the kernel" : counts}${mtu}`;
}

function countText({ kind, put, deleted }: OperationCount): string {
  const parts = [put === 0 ? "" : `+${put}`, deleted === 0 ? "" : `-${deleted}`];
  return `${kind} ${parts.filter((part) => part !== "").join(" ")}`;
}
