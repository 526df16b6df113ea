/** The verbs that change leases and nodes: reserve, release, node drain, undrain and remove. */
import type { Command } from "commander";
import { type ChangeFlags, change, withYes } from "../cluster/change.ts";
import type { Session } from "./look-verbs.ts";

export function addChangeVerbs(program: Command, session: Session): void {
  withYes(program.command("reserve"))
    .description("keep a node's subnet for ever, or a free one for a machine to come")
    .argument("<what>", "node that holds a lease, or free subnet such as 10.244.7.0-24")
    .option("--public-ip <ip>", "of the machine that a free subnet is for", "")
    .addHelpText(
      "after",
      "\nExample:\n  twillctl reserve 10.244.7.0-24 --public-ip 192.0.2.7 --yes",
    )
    .action(async (what: string, flags: ChangeFlags & { readonly publicIp: string }) => {
      await change(session, { $case: "reserve", value: { what, publicIp: flags.publicIp } }, flags);
    });
  withYes(program.command("release"))
    .description("end a lease or a reservation")
    .argument("<what>", "node, or subnet as `twillctl leases` has it")
    .addHelpText("after", "\nExample:\n  twillctl release 10.244.7.0-24 --yes")
    .action(async (what: string, flags: ChangeFlags) => {
      await change(session, { $case: "release", value: what }, flags);
    });
}

const NODE_VERBS = [
  ["drain", "end a node's lease and give it none until it is let in again"],
  ["undrain", "let a drained node in again"],
  ["remove", "end a node's lease and forget the node"],
] as const;

/** `node` is the command that `node show` belongs to. */
export function addNodeChangeVerbs(node: Command, session: Session): void {
  for (const [verb, description] of NODE_VERBS) {
    withYes(node.command(verb))
      .description(description)
      .argument("<name>", "as `twillctl nodes` has it")
      .addHelpText("after", `\nExample:\n  twillctl node ${verb} node1 --yes`)
      .action(async (name: string, flags: ChangeFlags) => {
        await change(session, { $case: verb, value: name }, flags);
      });
  }
}
