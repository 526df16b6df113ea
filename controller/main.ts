#!/usr/bin/env node
/** twill-controller: reads the command line and hands over to controller.ts. */
import { hostname } from "node:os";
import { VERSION } from "../common/version.ts";
import { parseControllerCommand } from "./options.ts";

const command = parseControllerCommand(process.argv.slice(2), process.env, hostname());
switch (command.kind) {
  case "help":
    process.stdout.write(`${command.text}\n`);
    break;
  case "version":
    process.stdout.write(`twill-controller ${VERSION}\n`);
    break;
  case "invalid":
    process.stderr.write(command.problems.map((line) => `twill-controller: ${line}\n`).join(""));
    process.stderr.write("twill-controller --help shows every option\n");
    process.exitCode = 2;
    break;
  case "run": {
    // The libraries behind it take a second to load; help and errors must not.
    const { runController } = await import("./controller.ts");
    await runController(command, process.env);
  }
}
