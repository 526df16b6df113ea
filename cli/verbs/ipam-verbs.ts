/** `ipam show` and `ipam check`. */
import type { Command } from "commander";
import { TwillError } from "../../common/errors.ts";
import { newestStatus } from "../cluster/cluster-view.ts";
import { type Ipam, measure, readIpam } from "../cluster/ipam.ts";
import { checkIpam } from "../cluster/ipam-check.ts";
import { EXIT_CODES } from "../exit-codes.ts";
import { askAll, type Session } from "./look-verbs.ts";

export function addIpamVerbs(program: Command, session: Session): void {
  const ipam = program.command("ipam").description("the network's addresses");
  ipam
    .command("show")
    .description("how many subnets are taken, reserved and free")
    .addHelpText("after", "\nExample:\n  twillctl ipam show -o json")
    .action(async () => {
      session.terminal.records(measure(await look(session)).map((use) => ({ ...use })));
    });
  ipam
    .command("check")
    .description("overlaps, duplicates, leases that do not fit the config; exit code 3 when found")
    .addHelpText("after", "\nExample:\n  twillctl ipam check")
    .action(async () => {
      const table = await look(session);
      const findings = checkIpam(table);
      if (findings.length > 0) session.exit(EXIT_CODES.found.code);
      const { terminal } = session;
      if (terminal.isForScripts) terminal.value(findings);
      else if (findings.length === 0)
        terminal.lines([`${table.leases.length} leases, nothing wrong`]);
      else terminal.records(findings.map((finding) => ({ ...finding })));
    });
}

async function look(session: Session): Promise<Ipam> {
  const newest = newestStatus(await askAll(await session.operator()));
  if (newest === undefined) throw new TwillError("CONTROLLER_UNAVAILABLE", "no controller answers");
  return readIpam(newest);
}
