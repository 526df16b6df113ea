/** `history`, `show --at` and `diff`: what was changed and by whom, and how things stood. */
import { type Command, InvalidArgumentError } from "commander";
import {
  HistoryClient,
  type HistoryEntry,
  type HistoryReply,
  type KeyChange,
  type Past,
} from "../../proto/gen/twill/v1/history.ts";
import { comparePasts } from "../cluster/past-diff.ts";
import type { Session } from "./look-verbs.ts";

interface HistoryFlags {
  readonly limit: number;
  readonly since: number;
}

export function addHistoryVerbs(program: Command, session: Session): void {
  program
    .command("history")
    .description("who changed config and leases, the newest last")
    .argument("[subject]", "only a node, a subnet such as 10.244.1.0-24, or config")
    .option("--limit <n>", "the newest so many; 0: all that the journal has", parseCount, 50)
    .option("--since <revision>", "only changes after it", parseCount, 0)
    .addHelpText("after", "\nExample:\n  twillctl history node1 --limit 10")
    .action((subject: string | undefined, flags: HistoryFlags) =>
      printHistory(session, subject ?? "", flags),
    );
  program
    .command("show")
    .description("config and leases as they were, and who had made them so")
    .option("--at <moment>", "an etcd revision, or a time such as 2026-05-04T17:30:00Z")
    .addHelpText("after", "\nExample:\n  twillctl show --at 2026-05-04T17:30:00Z")
    .action(async ({ at }: { readonly at?: string }) => {
      const past = await readPast(session, at);
      if (session.terminal.isForScripts) session.terminal.value(past);
      else printPast(session, past);
    });
  program
    .command("diff")
    .description("what differs between two moments; exit code 0 also when something does")
    .argument("<from>", "a revision or a time, as for show --at")
    .argument("[to]", "now when left out")
    .addHelpText("after", "\nExample:\n  twillctl diff 120 180")
    .action(async (from: string, to: string | undefined) => {
      const [before, after] = [await readPast(session, from), await readPast(session, to)];
      session.terminal.records(comparePasts(before, after).map((one) => ({ ...one })));
    });
}

export async function printHistory(
  session: Session,
  subject: string,
  flags: HistoryFlags,
): Promise<void> {
  const { entries } = await readHistory(session, subject, flags);
  if (session.terminal.isForScripts) session.terminal.value(entries);
  else session.terminal.records(entries.map(entryRow));
}

export async function readHistory(
  session: Session,
  subject: string,
  { limit, since }: HistoryFlags,
): Promise<HistoryReply> {
  const operator = await session.operator();
  const request = { limit, afterRevision: since, subject };
  return operator.call<HistoryClient, HistoryReply>(HistoryClient, (client, ...rest) =>
    client.getHistory(request, ...rest),
  );
}

async function readPast(session: Session, at: string | undefined): Promise<Past> {
  const operator = await session.operator();
  return operator.call<HistoryClient, Past>(HistoryClient, (client, ...rest) =>
    client.getPast({ moment: momentOf(at) }, ...rest),
  );
}

function momentOf(at: string | undefined) {
  if (at === undefined) return undefined;
  return /^[0-9]+$/.test(at)
    ? ({ $case: "revision", value: Number(at) } as const)
    : ({ $case: "time", value: at } as const);
}

function entryRow({ revision, at, by, action, subject, changes, note }: HistoryEntry) {
  const what = [...changes.map(changeText), ...(note === "" ? [] : [note])].join("; ");
  return { revision, at, by, action, subject, what };
}

function changeText({ key, before, after }: KeyChange): string {
  if (before === undefined) return `${key} is new`;
  if (after === undefined) return `${key} is gone`;
  if (before.value !== after.value) return `${key} is another`;
  return after.forever ? `${key} stays for ever` : `${key} is on an etcd lease`;
}

function printPast({ terminal }: Session, { revision, keys }: Past): void {
  terminal.lines([`revision ${revision === 0 ? "of before the journal" : revision}`, ""]);
  terminal.records(
    keys.map(({ key, state, changedBy, changedAt, changedRevision }) => ({
      key,
      by: changedBy,
      at: changedAt,
      revision: changedRevision === 0 ? "" : changedRevision,
      value: state?.value ?? "",
    })),
  );
}

function parseCount(text: string): number {
  const count = Number(text);
  if (/^[0-9]+$/.test(text) && Number.isSafeInteger(count)) return count;
  throw new InvalidArgumentError("A whole number, 0 or more.");
}
