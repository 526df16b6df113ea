/** `takeover check` and `takeover plan`: from flanneld to twill-agent, on the machine where it is typed. */
import type { Command } from "commander";
import { EXIT_CODES } from "../exit-codes.ts";
import type { Session } from "../verbs/look-verbs.ts";
import { readNodeFacts } from "./node-facts.ts";
import { checkTakeover, isNote, type NetworkFacts, type NodeFacts } from "./takeover-check.ts";
import { planTakeover } from "./takeover-plan.ts";

export function addTakeoverVerbs(program: Command, session: Session): void {
  const takeover = program
    .command("takeover")
    .description("from flanneld to twill-agent, on this machine");
  takeover
    .command("check")
    .description("what stands in the way here; exit code 3 when something does")
    .addHelpText("after", "\nExample:\n  twillctl takeover check")
    .action(async () => {
      const findings = checkTakeover(readNodeFacts(), await lookAtNetwork(session));
      if (findings.some((finding) => !isNote(finding))) session.exit(EXIT_CODES.found.code);
      session.terminal.records(
        findings.map(({ code, message }) => ({
          weight: isNote({ code, message }) ? "note" : "stop",
          code,
          message,
        })),
      );
    });
  takeover
    .command("plan")
    .description(
      "the commands for this machine, with flanneld's options as twill-agent's; changes nothing",
    )
    .addHelpText("after", "\nExample:\n  twillctl takeover plan")
    .action(() => {
      const node: NodeFacts = readNodeFacts();
      session.terminal.lines(planTakeover(node));
    });
}

async function lookAtNetwork(session: Session): Promise<NetworkFacts> {
  const { config, leases } = await (await session.operator()).firstStatus();
  return { configJson: config?.json ?? "", leases };
}
