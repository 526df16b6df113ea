#!/usr/bin/env node
/** twillctl: the operator's command. Composition root; every verb lives in its own file. */
import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { Command, CommanderError, Option } from "commander";
import { TwillError } from "../common/errors.ts";
import { type ConnectionFlags, resolveConnection } from "./connection/connection.ts";
import { EXIT_CODES } from "./exit-codes.ts";
import { renderMan } from "./man-page.ts";
import { addPkiVerbs } from "./pki/pki-verbs.ts";
import { renderReference } from "./reference.ts";
import { addTakeoverVerbs } from "./takeover/takeover-verbs.ts";
import { type OutputFormat, Terminal } from "./terminal.ts";
import { addChangeVerbs } from "./verbs/change-verbs.ts";
import { addConfigVerbs } from "./verbs/config-verbs.ts";
import { addHistoryVerbs } from "./verbs/history-verbs.ts";
import { addIpamVerbs } from "./verbs/ipam-verbs.ts";
import { addLookVerbs, type Session } from "./verbs/look-verbs.ts";
import { addNodeVerbs } from "./verbs/node-verbs.ts";
import { addPathVerbs } from "./verbs/path-verbs.ts";
import { addWaitVerb } from "./verbs/wait-verb.ts";
import { addWatchVerb } from "./verbs/watch-verb.ts";

type GlobalFlags = ConnectionFlags & { readonly output: OutputFormat };

const program = new Command("twillctl")
  .description("look at and work with a Twill container network")
  .addOption(
    new Option("-o, --output <format>", "how results are printed")
      .choices(["table", "wide", "json", "yaml"])
      .default("table"),
  )
  .option("--controllers <list>", "controllers to ask, host:port,…")
  .option("--context <name>", "context of ~/.config/twill/config.yaml")
  .option("--tls-ca-file <file>", "CA that signed the controllers")
  .option("--tls-cert-file <file>", "your operator certificate")
  .option("--tls-key-file <file>", "its key")
  .option("--insecure", "plaintext; for labs only")
  .showHelpAfterError()
  .showSuggestionAfterError()
  .exitOverride();

const flags = (): GlobalFlags => program.opts<GlobalFlags>();
const terminal = new Terminal(
  process.stdout,
  () => flags().output,
  () => Date.now(),
);

const session: Session = {
  terminal,
  exit: (code) => {
    process.exitCode = code;
  },
  tell: (lines) => void process.stderr.write(lines.map((line) => `${line}\n`).join("")),
  operator: async () => {
    // grpc-js costs a tenth of a second to load; verbs on files go without.
    const { Operator } = await import("./connection/operator-client.ts");
    const configPath = join(homedir(), ".config", "twill", "config.yaml");
    const configText = existsSync(configPath) ? readFileSync(configPath, "utf8") : undefined;
    const sources = { flags: flags(), env: process.env, configText, configPath };
    return Operator.connect(resolveConnection(sources));
  },
};
addLookVerbs(program, session);
addHistoryVerbs(program, session);
addChangeVerbs(program, session);
addConfigVerbs(program, session);
addNodeVerbs(program, session);
addIpamVerbs(program, session);
addWaitVerb(program, session);
addPathVerbs(program, session);
addWatchVerb(program, session);
addTakeoverVerbs(program, session);
addPkiVerbs(program, terminal);
program
  .command("reference", { hidden: true })
  .description("docs/cli.md, for scripts/gen-docs")
  .action(() => void process.stdout.write(renderReference(program)));
program
  .command("man", { hidden: true })
  .description("twillctl(1), for the package")
  .action(() => void process.stdout.write(renderMan(program)));

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error);
}

/** Exit codes as exit-codes.ts has them; commander has printed its own errors already. */
function report(error: unknown): number {
  if (error instanceof CommanderError)
    return error.exitCode === 0 ? EXIT_CODES.done.code : EXIT_CODES.usage.code;
  const known = TwillError.from(error);
  process.stderr.write(`twillctl: ${known.message}\n`);
  return known.traits.exit;
}
