#!/usr/bin/env node
/** twillctl: the operator's command. Composition root; every verb lives in its own file. */
import { Command, CommanderError, Option } from "commander";
import { TwillError } from "../common/errors.ts";
import { addPkiVerbs } from "./pki/pki-verbs.ts";
import { type OutputFormat, Terminal } from "./terminal.ts";

const program = new Command("twillctl")
  .description("look at and work with a Twill container network")
  .addOption(
    new Option("-o, --output <format>", "how results are printed")
      .choices(["table", "wide", "json", "yaml"])
      .default("table"),
  )
  .showHelpAfterError()
  .showSuggestionAfterError()
  .exitOverride();

const terminal = new Terminal(
  process.stdout,
  () => program.opts<{ output: OutputFormat }>().output,
  () => Date.now(),
);
addPkiVerbs(program, terminal);

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error);
}

/** Exit codes: 0 done, 1 failed, 2 wrong usage; commander has printed its own errors already. */
function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  const known = TwillError.from(error);
  process.stderr.write(`twillctl: ${known.message}\n`);
  return known.traits.exit;
}
