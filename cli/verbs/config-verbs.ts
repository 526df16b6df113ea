/** `config show`, `plan`, `apply`, `history` and `rollback`. */
import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { type Command, InvalidArgumentError, Option } from "commander";
import { parseDurationMs } from "../../common/config/option-spec.ts";
import { TwillError } from "../../common/errors.ts";
import { type ChangeFlags, change, withYes } from "../cluster/change.ts";
import { awaitRollout } from "../cluster/rollout.ts";
import { printHistory } from "./history-verbs.ts";
import type { Session } from "./look-verbs.ts";

export function addConfigVerbs(program: Command, session: Session): void {
  const config = program.command("config").description("the network config");
  config
    .command("show")
    .description("the config in force, its revision and what is wrong with it; no secrets")
    .addHelpText("after", "\nExample:\n  twillctl config show -o json")
    .action(() => showConfig(session));
  config
    .command("plan")
    .description("what a new config would do; nothing is changed")
    .argument("<file>", "JSON as in etcd; - reads standard input")
    .addHelpText("after", "\nExample:\n  twillctl config plan new.json")
    .action(async (file: string) => {
      await change(session, { $case: "config", value: await readJson(file) }, {});
    });
  withTimeout(withYes(config.command("apply")))
    .description("put a new config; a change of backend is made live, and waited for")
    .argument("<file>", "JSON as in etcd; - reads standard input")
    .addHelpText("after", "\nExample:\n  twillctl config apply new.json --yes")
    .action(async (file: string, flags: ChangeFlags) => {
      const value = await readJson(file);
      await awaitRollout(session, await change(session, { $case: "config", value }, flags));
    });
  config
    .command("history")
    .description("who changed the config, the newest last")
    .addHelpText("after", "\nExample:\n  twillctl config history")
    .action(() => printHistory(session, "config", { limit: 0, since: 0 }));
  withTimeout(withYes(config.command("rollback")))
    .description("put the config as it was at a revision of `config history`")
    .argument("<revision>", "of the journal", parseRevision)
    .addHelpText("after", "\nExample:\n  twillctl config rollback 42 --yes")
    .action(async (value: number, flags: ChangeFlags) => {
      await awaitRollout(session, await change(session, { $case: "configRollback", value }, flags));
    });
}

function withTimeout(command: Command): Command {
  const option = new Option("--timeout <duration>", "for a change of backend, before it is undone");
  return command.addOption(option.argParser(parseTimeout).default(120_000, "120s"));
}

async function showConfig(session: Session): Promise<void> {
  const { config, warnings } = await (await session.operator()).firstStatus();
  if (config === undefined) {
    throw new TwillError("CONFIG_MISSING", "there is no valid network config yet");
  }
  const { terminal } = session;
  const shown: unknown = JSON.parse(config.json);
  if (terminal.isForScripts) terminal.value({ revision: config.revision, config: shown });
  else {
    const faults = warnings.filter(({ code }) => code.startsWith("CONFIG_"));
    terminal.lines([
      `revision ${config.revision}`,
      JSON.stringify(shown, undefined, 2),
      ...faults.map(({ code, message }) => `${code}: ${message}`),
    ]);
  }
}

async function readJson(file: string): Promise<string> {
  try {
    const json = file === "-" ? await text(process.stdin) : await readFile(file, "utf8");
    return json.trim();
  } catch (error) {
    throw new TwillError("OPTION_INVALID", `cannot read ${file}`, { cause: error });
  }
}

function parseRevision(given: string): number {
  const revision = Number(given);
  if (Number.isSafeInteger(revision) && revision > 0) return revision;
  throw new InvalidArgumentError("A revision is a whole number above 0.");
}

function parseTimeout(given: string): number {
  const ms = parseDurationMs(given);
  if (ms !== undefined && ms > 0) return ms;
  throw new InvalidArgumentError('A duration has its unit, such as "90s" or "5m".');
}
