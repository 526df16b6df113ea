#!/usr/bin/env node
/**
 * twill-agent: reads the command line, then loads only what the command needs. The parts are
 * put together in run.ts and cleanup.ts.
 */
import { hostname } from "node:os";
import { VERSION } from "../common/version.ts";
import { parseAgentCommand } from "./options.ts";

/** Bad command line, as sysexits and most tools have it. */
const USAGE_EXIT = 2;

const command = parseAgentCommand(process.argv.slice(2), process.env, hostname());
switch (command.kind) {
  case "help":
    process.stdout.write(command.text);
    break;
  case "version":
    process.stdout.write(`twill-agent ${VERSION}\n`);
    break;
  case "invalid":
    for (const problem of command.problems) process.stderr.write(`twill-agent: ${problem}\n`);
    process.exitCode = USAGE_EXIT;
    break;
  case "run": {
    const { runAgent } = await import("./run.ts");
    await runAgent(command, process.env, process.pid);
    break;
  }
  case "cleanup": {
    const { runCleanup } = await import("./cleanup.ts");
    process.exitCode = await runCleanup(command, process.env);
    break;
  }
}
