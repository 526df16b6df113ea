/**
 * docs/cli.md: every verb with the help it prints itself, the exit codes, and what to do about
 * each warning. Made from the commands as they are, so that it cannot say anything else.
 */
import type { Command } from "commander";
import { EXIT_CODES } from "./exit-codes.ts";
import { FIXES } from "./warning-fixes.ts";

const WIDTH = 96;

export function renderReference(program: Command): string {
  return [
    ...verbsOf(program).flatMap((command) => section(command, 2)),
    "## Exit codes",
    "",
    "| Code | Meaning |",
    "|---|---|",
    ...Object.values(EXIT_CODES).map(({ code, meaning }) => `| ${code} | ${meaning} |`),
    "",
    "## Warnings and what to do",
    "",
    "| Code | What to do |",
    "|---|---|",
    ...Object.entries(FIXES).map(([code, fix]) => `| \`${code}\` | ${fix} |`),
    "",
  ].join("\n");
}

function section(command: Command, depth: number): string[] {
  const verbs = verbsOf(command).filter((verb) => verb !== command);
  return [
    `${"#".repeat(depth)} ${fullName(command)}`,
    "",
    "```",
    helpOf(command).trimEnd(),
    "```",
    "",
    ...(depth === 2 && command.parent === null
      ? []
      : verbs.flatMap((verb) => section(verb, depth + 1))),
  ];
}

/** The command itself when it is the program, and its visible verbs. */
export function verbsOf(command: Command): Command[] {
  const verbs = command
    .createHelp()
    .visibleCommands(command)
    .filter((verb) => verb.name() !== "help");
  return command.parent === null ? [command, ...verbs] : verbs;
}

export function fullName(command: Command): string {
  const { parent } = command;
  return parent === null ? command.name() : `${fullName(parent)} ${command.name()}`;
}

/** As `--help` prints it, at one width whatever the terminal. */
export function helpOf(command: Command): string {
  const parts: string[] = [];
  command.configureOutput({
    writeOut: (text) => void parts.push(text),
    getOutHelpWidth: () => WIDTH,
    getOutHasColors: () => false,
  });
  command.outputHelp();
  return parts.join("");
}
