/** `watch`: what happens, one line each, from all controllers at once, until it is interrupted. */
import { type Command, Option } from "commander";
import { TwillError } from "../../common/errors.ts";
import type { WatchBatch } from "../../proto/gen/twill/v1/inspect.ts";
import { WatchLines } from "../cluster/watch-lines.ts";
import { controllerAddresses, type Session } from "./look-verbs.ts";

const KINDS = ["lease", "config", "leader", "stream", "ack", "drift"] as const;
const AGAIN_MS = 1000;

interface WatchFlags {
  readonly only?: string;
  readonly count?: number;
}

export function addWatchVerb(program: Command, session: Session): void {
  program
    .command("watch")
    .description("changes, acknowledgements, drift and leadership as they happen, one line each")
    .addOption(new Option("--only <kind>", "one kind of event").choices(KINDS))
    .addOption(
      new Option("--count <n>", "end after so many lines").argParser((text) => Number(text)),
    )
    .addHelpText("after", "\nExample:\n  twillctl watch --only drift")
    .action((flags: WatchFlags) => watch(session, flags));
}

async function watch(session: Session, { only, count = 0 }: WatchFlags): Promise<void> {
  const operator = await session.operator();
  const lines = new WatchLines();
  const stop = new AbortController();
  let left = count;
  const hear = ({ events, missed }: WatchBatch): void => {
    if (missed > 0) session.tell([`${missed} events went by too fast`]);
    for (const event of events) {
      const line = lines.line(event);
      if (line === undefined || stop.signal.aborted) continue;
      if (session.terminal.isForScripts) session.terminal.value(event);
      else session.terminal.lines([line]);
      left -= 1;
      if (count > 0 && left === 0) stop.abort();
    }
  };
  const kinds = only === undefined ? [] : [only];
  const addresses = await controllerAddresses(operator);
  session.tell([`watching ${addresses.join(", ")}`]);
  await Promise.all(
    addresses.map(async (address) => {
      while (!stop.signal.aborted) {
        const why = await operator.watch(address, kinds, hear, stop.signal);
        if (stop.signal.aborted) return;
        session.tell([`${address}: ${why}; trying again`]);
        await pause(stop.signal);
      }
    }),
  );
}

async function pause(signal: AbortSignal): Promise<void> {
  const { systemClock } = await import("../../common/async/clock.ts");
  await systemClock.sleep(AGAIN_MS, signal).catch((error: unknown) => {
    if (!signal.aborted) throw TwillError.from(error);
  });
}
