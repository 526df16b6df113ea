/**
 * The log port and its winston adapter (the only import of winston). JSON lines for
 * journald, text for a terminal. Repeats are limited here, once, for everybody: the same
 * warning or error about the same `key` is written at most once in REPEAT_MS, and the
 * next one says how many were left out.
 */
import { inspect } from "node:util";
import winston from "winston";
import type { Clock } from "./async/clock.ts";
import { TwillError } from "./errors.ts";
import { EVENTS, type EventName, type Level } from "./events.ts";

export type Fields = Readonly<Record<string, unknown>> & { readonly key?: string };

export interface Logger {
  /**
   * Writes one event. `message` is a sentence for people. `fields.key` (optional) names the
   * thing the event is about and is what repeats are counted by.
   */
  event(name: EventName, message: string, fields?: Fields): void;
  /** The same log with fields added to every event (component, node …). */
  child(fields: Fields): Logger;
}

export const REPEAT_MS = 10_000;
const MAX_TRACKED = 4096;
/** The place of all keys that find no room; no event's name is empty. */
const OVERFLOW = "";
const INSPECT = { breakLength: Number.POSITIVE_INFINITY, depth: 4, maxStringLength: 200 } as const;

export interface LogOptions {
  readonly level: Level;
  readonly format: "json" | "text";
  readonly clock: Clock;
  /** Where lines go; default stderr. */
  readonly stream?: NodeJS.WritableStream;
}

export function createLogger(options: LogOptions): Logger {
  const { combine, timestamp, json, printf } = winston.format;
  const text = printf((info) => formatText(info));
  const sink = winston.createLogger({
    level: options.level,
    format: combine(timestamp(), options.format === "json" ? json() : text),
    transports: [new winston.transports.Stream({ stream: options.stream ?? process.stderr })],
  });
  const limiter = new RepeatLimiter(options.clock);
  const gather = options.stream === undefined ? gatherLines(process.stderr) : (): void => undefined;
  return new EventLogger(
    (level, line) => {
      gather();
      sink.log({ ...line, timestamp: undefined, level, message: line.message });
    },
    limiter,
    {},
  );
}

/**
 * To be called before each line: those of one turn of the event loop leave in one write. A
 * write to journald's pipe blocks; one for each line was a tenth of a busy controller's CPU.
 */
function gatherLines(stream: NodeJS.WriteStream): () => void {
  let isGathering = false;
  const release = (): void => {
    if (isGathering) stream.uncork();
    isGathering = false;
  };
  // Also when the process ends within the turn.
  process.once("exit", release);
  return () => {
    if (isGathering) return;
    isGathering = true;
    stream.cork();
    setImmediate(release);
  };
}

/** A log that keeps nothing; for tests and one-shot commands. */
export const silentLogger: Logger = {
  event: () => undefined,
  child: () => silentLogger,
};

/** The fields every log of an error carries. */
export function errorFields(error: unknown): Fields {
  const known = TwillError.from(error);
  const cause = known.cause instanceof Error ? { cause: known.cause.message } : {};
  return { code: known.code, error: known.message, ...known.context, ...cause };
}

type Line = Fields & { readonly event: EventName; readonly message: string };

class EventLogger implements Logger {
  readonly #write: (level: Level, line: Line) => void;
  readonly #limiter: RepeatLimiter;
  readonly #context: Fields;

  constructor(write: (level: Level, line: Line) => void, limiter: RepeatLimiter, context: Fields) {
    this.#write = write;
    this.#limiter = limiter;
    this.#context = context;
  }

  event(name: EventName, message: string, fields: Fields = {}): void {
    const { level } = EVENTS[name];
    const limited = level === "warn" || level === "error";
    const suppressed = limited ? this.#limiter.admit(`${name} ${fields.key ?? ""}`) : 0;
    if (suppressed === undefined) return;
    const repeats = suppressed > 0 ? { suppressed } : {};
    const line = { event: name, ...this.#context, ...fields, ...repeats };
    // Again, because a field of the same name must not take the event's place.
    this.#write(level, { ...line, event: name, message });
  }

  child(fields: Fields): Logger {
    return new EventLogger(this.#write, this.#limiter, { ...this.#context, ...fields });
  }
}

/**
 * Admits a key once per REPEAT_MS; answers how many repeats were left out, undefined: not
 * now. A flood of ever new keys shares one place once MAX_TRACKED of them are remembered, so
 * the log is bounded whatever the keys are.
 */
export class RepeatLimiter {
  readonly #clock: Clock;
  /** In the order of `since`: the oldest first. */
  readonly #seen = new Map<string, { since: number; suppressed: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  admit(key: string): number | undefined {
    const now = this.#clock.monotonicMs();
    const entry = this.#seen.get(key);
    if (entry !== undefined && now - entry.since < REPEAT_MS) {
      entry.suppressed += 1;
      return undefined;
    }
    if (entry === undefined && key !== OVERFLOW && this.#isFull(now)) return this.admit(OVERFLOW);
    this.#seen.delete(key);
    this.#seen.set(key, { since: now, suppressed: 0 });
    return entry?.suppressed ?? 0;
  }

  /** True when there is no room for a new key, even after forgetting what is old. */
  #isFull(now: number): boolean {
    for (const [key, { since }] of this.#seen) {
      if (this.#seen.size < MAX_TRACKED || now - since < REPEAT_MS) break;
      this.#seen.delete(key);
    }
    return this.#seen.size >= MAX_TRACKED;
  }
}

function formatText(info: winston.Logform.TransformableInfo): string {
  const { level, message, timestamp, event, ...rest } = info;
  const fields = Object.entries(rest)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${fieldText(value)}`)
    .join(" ");
  const head = `${String(timestamp)} ${level.toUpperCase().padEnd(5)} ${String(event)}`;
  return `${head}: ${oneLine(String(message))}${fields === "" ? "" : `  ${fields}`}`;
}

/** Words stand as they are, the rest in quotes, so that fields can be told apart. */
function fieldText(value: unknown): string {
  if (typeof value === "string") return /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value);
  return oneLine(typeof value === "bigint" ? String(value) : inspect(value, INSPECT));
}

/** What a peer or a kernel says must not look like a line of its own. */
function oneLine(text: string): string {
  return text.replaceAll(/[\r\n]+/g, " ⏎ ");
}
