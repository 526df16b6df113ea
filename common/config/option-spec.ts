/**
 * One declaration per option: name, default, help and how its text becomes a value. The
 * table made of them (option-table.ts) drives command line, environment, help and docs.
 */
import { type Family, type Ip, parseIp } from "../net/ip.ts";

/** A text turned into a value, or what is wrong with it: "must be …, not …". */
export type Reading<T> =
  | { readonly kind: "value"; readonly value: T }
  | { readonly kind: "wrong"; readonly problem: string };

export interface OptionSpec<T> {
  /** Without dashes, as flanneld spells it: "etcd-endpoints". */
  readonly flag: string;
  /** Sentences for people; what it does, and the unit. */
  readonly help: string;
  /** Heading in the help. */
  readonly group: string;
  /** What stands for the value in the help; undefined: a boolean, which needs none. */
  readonly placeholder: string | undefined;
  /** Value when the option is not given, and how the help shows it (empty: not shown). */
  readonly fallback: T;
  readonly fallbackText: string;
  /** May be given many times; otherwise the last one counts, as in Go. */
  readonly isRepeatable: boolean;
  /** Never printed or logged, and better given by environment than by flag. */
  readonly isSecret: boolean;
  /** All texts given (at least one; only the last unless repeatable), none of them empty. */
  readonly read: (texts: readonly string[]) => Reading<T>;
}

interface Declared {
  readonly flag: string;
  readonly help: string;
  readonly group: string;
}

interface DeclaredValue<T> extends Declared {
  readonly placeholder: string;
  readonly fallback: T;
  readonly isSecret?: boolean;
}

/** A value of any type from one text; the other kinds below are made of it. */
export function valueOption<T>(
  declared: DeclaredValue<T> & {
    readonly fallbackText: string;
    readonly parse: (text: string) => Reading<T>;
  },
): OptionSpec<T> {
  const { parse, isSecret = false, ...rest } = declared;
  return {
    ...rest,
    isSecret,
    isRepeatable: false,
    read: (texts) => parse(texts.at(-1) ?? ""),
  };
}

export function textOption(declared: DeclaredValue<string>): OptionSpec<string> {
  const fallbackText = declared.isSecret === true ? "" : declared.fallback;
  return valueOption({ ...declared, fallbackText, parse: value });
}

/** true and false in all of Go's spellings. */
export function booleanOption(
  declared: Declared & { readonly fallback: boolean },
): OptionSpec<boolean> {
  return {
    ...declared,
    placeholder: undefined,
    fallbackText: String(declared.fallback),
    isRepeatable: false,
    isSecret: false,
    read: (texts) => parseBoolean(texts.at(-1) ?? ""),
  };
}

export function integerOption(
  declared: DeclaredValue<number> & { readonly min: number; readonly max: number },
): OptionSpec<number> {
  const { min, max, ...rest } = declared;
  return valueOption({
    ...rest,
    fallbackText: String(rest.fallback),
    parse: (text) => {
      const number = /^-?[0-9]{1,15}$/.test(text) ? Number(text) : Number.NaN;
      return number >= min && number <= max
        ? value(number)
        : wrong(`must be a whole number from ${min} to ${max}`, text);
    },
  });
}

/** One of a few words. */
export function choiceOption<T extends string>(
  declared: DeclaredValue<NoInfer<T>> & { readonly choices: readonly T[] },
): OptionSpec<T> {
  const { choices, ...rest } = declared;
  return valueOption<T>({
    ...rest,
    fallbackText: rest.fallback,
    parse: (text) => {
      const choice = choices.find((known) => known === text);
      return choice === undefined
        ? wrong(`must be one of ${choices.join(", ")}`, text)
        : value(choice);
    },
  });
}

/** A time with its unit ("24h", "1m30s", "500ms"), as milliseconds. */
export function durationOption(
  declared: Omit<DeclaredValue<number>, "placeholder" | "fallback"> & {
    readonly fallback: string;
    readonly minMs: number;
    readonly maxMs: number;
  },
): OptionSpec<number> {
  const { minMs, maxMs, fallback, ...rest } = declared;
  return valueOption({
    ...rest,
    placeholder: "DURATION",
    fallback: parseDurationMs(fallback) ?? minMs,
    fallbackText: fallback,
    parse: (text) => {
      const ms = parseDurationMs(text);
      if (ms === undefined) return wrong('must be a time with its unit such as "90s"', text);
      const allowed = `must lie between ${formatMs(minMs)} and ${formatMs(maxMs)}`;
      return ms >= minMs && ms <= maxMs ? value(ms) : wrong(allowed, text);
    },
  });
}

/** An address of one family; undefined when not given. */
export function ipOption(
  declared: Declared & { readonly family: Family },
): OptionSpec<Ip | undefined> {
  const { family, ...rest } = declared;
  return valueOption<Ip | undefined>({
    ...rest,
    placeholder: `IPV${family}`,
    fallback: undefined,
    fallbackText: "",
    parse: (text) => {
      const ip = parseIp(text);
      return ip?.family === family ? value(ip) : wrong(`must be an IPv${family} address`, text);
    },
  });
}

/** Items separated by commas; blanks around them are dropped. */
export function listOption<T>(
  declared: Omit<DeclaredValue<T>, "fallback"> & {
    readonly fallback: readonly T[];
    readonly fallbackText: string;
    readonly parseItem: (text: string) => Reading<T>;
  },
): OptionSpec<readonly T[]> {
  const { parseItem, ...rest } = declared;
  return valueOption<readonly T[]>({
    ...rest,
    parse: (text) =>
      readAll(
        text.split(",").map((item) => item.trim()),
        parseItem,
      ),
  });
}

/** Given once per item; items may hold commas (regular expressions do). */
export function repeatableOption<T>(
  declared: Omit<DeclaredValue<T>, "fallback"> & {
    readonly parseItem: (text: string) => Reading<T>;
  },
): OptionSpec<readonly T[]> {
  const { parseItem, isSecret = false, ...rest } = declared;
  return {
    ...rest,
    fallback: [],
    fallbackText: "",
    isSecret,
    isRepeatable: true,
    read: (texts) => readAll(texts, parseItem),
  };
}

export function value<T>(read: T): Reading<T> {
  return { kind: "value", value: read };
}

/** The rule that a text breaks; the caller knows whether the text may be shown. */
export function wrong(rule: string, text: string): Reading<never> {
  return { kind: "wrong", problem: `${rule}, not ${JSON.stringify(text.slice(0, 80))}` };
}

/** Milliseconds of Go-style text such as "1h30m"; undefined when malformed. */
export function parseDurationMs(text: string): number | undefined {
  const match =
    /^(?:([0-9]{1,9})h)?(?:([0-9]{1,9})m(?!s))?(?:([0-9]{1,9})s)?(?:([0-9]{1,9})ms)?$/.exec(text);
  if (match === null || text === "") return undefined;
  const [hours = 0, minutes = 0, seconds = 0, ms = 0] = match.slice(1).map((n) => Number(n ?? 0));
  return ((hours * 60 + minutes) * 60 + seconds) * 1000 + ms;
}

function readAll<T>(
  texts: readonly string[],
  parseItem: (text: string) => Reading<T>,
): Reading<readonly T[]> {
  const values: T[] = [];
  for (const text of texts) {
    const item = parseItem(text);
    if (item.kind === "wrong") return item;
    values.push(item.value);
  }
  return value(values);
}

function parseBoolean(text: string): Reading<boolean> {
  if (["1", "t", "T", "TRUE", "true", "True"].includes(text)) return value(true);
  if (["0", "f", "F", "FALSE", "false", "False"].includes(text)) return value(false);
  return wrong("must be true or false", text);
}

function formatMs(ms: number): string {
  if (ms % 3_600_000 === 0) return `${ms / 3_600_000}h`;
  if (ms % 60_000 === 0) return `${ms / 60_000}m`;
  return ms % 1000 === 0 ? `${ms / 1000}s` : `${ms}ms`;
}
