/** `node show`: one node in full. */
import type { Command } from "commander";
import { TwillError } from "../../common/errors.ts";
import { nearest } from "../../common/text/nearest.ts";
import { lookAtCluster, type Session } from "./look-verbs.ts";

export function addNodeVerbs(program: Command, session: Session): void {
  program
    .command("node")
    .description("one node")
    .command("show")
    .description("lease, addresses, backend data, applied revision, what is wrong")
    .argument("<name>", "as `twillctl nodes` has it")
    .addHelpText("after", "\nExample:\n  twillctl node show node1")
    .action(async (name: string) => {
      const view = await lookAtCluster(await session.operator());
      const node = view.nodes.find((known) => known.node === name);
      if (node === undefined) {
        throw unknownNode(
          name,
          view.nodes.map((known) => known.node),
        );
      }
      const held = view.leases.find(({ lease }) => lease?.node === name);
      const shown = {
        ...node,
        etcdLease: held?.etcdLease ?? "",
        leaseRevision: held?.revision ?? 0,
        publicIpv6: held?.lease?.publicIpv6 ?? "",
        backendData: held?.lease?.backendData ?? "",
        backendV6Data: held?.lease?.backendV6Data ?? "",
      };
      if (session.terminal.isForScripts) session.terminal.value(shown);
      else {
        session.terminal.lines(
          Object.entries(shown).map(([field, value]) => `${field.padEnd(16)}${value}`.trimEnd()),
        );
      }
    });
}

function unknownNode(name: string, known: readonly string[]): TwillError {
  const meant = nearest(name, known);
  const hint = meant === undefined ? "twillctl nodes lists them" : `did you mean ${meant}?`;
  return new TwillError("OPTION_INVALID", `no node "${name}"; ${hint}`);
}
