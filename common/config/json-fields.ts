/**
 * Reads the fields of one JSON object as flannel's Go code does (names case-insensitive,
 * null means absent, unknown names ignored), but collects every problem with its place
 * instead of stopping at the first, and warns of names that look mistyped.
 */
import { nearest } from "../text/nearest.ts";
import type { ConfigProblem } from "./network-config.ts";

export type JsonObject = Readonly<Record<string, unknown>>;

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A config may hold thousands of junk keys; nobody reads thousands of warnings. */
const MAX_KEY_WARNINGS = 20;
const MAX_SHOWN = 40;

/**
 * Collects problems (the config is refused), warnings (accepted, but a trap) and slips
 * (mistyped keys: a warning, but part of the explanation when the config is refused).
 */
export class ConfigReport {
  readonly problems: ConfigProblem[] = [];
  readonly warnings: ConfigProblem[] = [];
  readonly slips: ConfigProblem[] = [];

  problem(path: string, message: string): void {
    this.problems.push({ path, message });
  }

  warn(path: string, message: string): void {
    this.warnings.push({ path, message });
  }
}

/** A field that is there: its value, and its place as the operator spelled it. */
export interface Field {
  readonly path: string;
  readonly value: unknown;
}

export interface IntegerField {
  readonly min: number;
  readonly max: number;
  /** When the field is absent. */
  readonly fallback: number;
  /** Returned (after the report) when the value is wrong; default: the fallback. */
  readonly ifWrong?: number;
  /** Says what is allowed; default: the bounds. */
  readonly rule?: string;
}

export class JsonFields {
  readonly report: ConfigReport;
  readonly #path: string;
  /** By folded name; more than one entry when spellings differ only in case. */
  readonly #fields = new Map<string, [name: string, value: unknown][]>();
  readonly #asked = new Map<string, string>();

  constructor(object: JsonObject, path: string, report: ConfigReport) {
    this.#path = path;
    this.report = report;
    for (const [name, value] of Object.entries(object)) {
      const twins = this.#fields.get(name.toLowerCase()) ?? [];
      this.#fields.set(name.toLowerCase(), [...twins, [name, value]]);
    }
  }

  /** Names asked for so far: what this object may hold. */
  get asked(): readonly string[] {
    return [...this.#asked.values()];
  }

  /** The place of a field, spelled as in the JSON when it is there. */
  path(name: string): string {
    return `${this.#path}.${this.#fields.get(name.toLowerCase())?.[0]?.[0] ?? name}`;
  }

  /** The field, or undefined when it is absent or null. */
  get(name: string): Field | undefined {
    const folded = name.toLowerCase();
    const [first, twin] = this.#fields.get(folded) ?? [];
    if (twin !== undefined && !this.#asked.has(folded)) {
      // flannel silently takes the last one; which was meant is a guess.
      this.report.problem(
        this.path(name),
        `${name} is given twice, as ${JSON.stringify(first?.[0])} and ${JSON.stringify(twin[0])}; remove one`,
      );
    }
    this.#asked.set(folded, name);
    if (first === undefined || first[1] === null) return undefined;
    return { path: this.path(name), value: first[1] };
  }

  /** True when the key is written, even as null. */
  has(name: string): boolean {
    return this.#fields.has(name.toLowerCase());
  }

  boolean(name: string, fallback: boolean): boolean {
    const field = this.get(name);
    if (field === undefined) return fallback;
    if (typeof field.value === "boolean") return field.value;
    this.#wrong(field, `${name} must be true or false without quotes`);
    return fallback;
  }

  integer(name: string, allowed: IntegerField): number {
    const { min, max, fallback, ifWrong = fallback } = allowed;
    const field = this.get(name);
    if (field === undefined) return fallback;
    const { value } = field;
    if (typeof value !== "number" || !Number.isInteger(value)) {
      this.#wrong(field, `${name} must be a whole number without quotes`);
      return ifWrong;
    }
    if (value >= min && value <= max) return value;
    this.#wrong(field, `${name} ${allowed.rule ?? `must lie between ${min} and ${max}`}`);
    return ifWrong;
  }

  string(name: string, fallback: string): string {
    const field = this.get(name);
    if (field === undefined) return fallback;
    if (typeof field.value === "string") return field.value;
    this.#wrong(field, `${name} must be a text in quotes`);
    return fallback;
  }

  /** Notes names never asked for that look like a slip in one that was. */
  noteSlips(): void {
    const slips = this.unknown().flatMap((name) => {
      const meant = nearest(name, this.asked);
      return meant === undefined ? [] : [{ name, meant }];
    });
    for (const { name, meant } of slips.slice(0, MAX_KEY_WARNINGS)) {
      const message = `unknown key, ignored; did you mean ${meant}?`;
      this.report.slips.push({ path: `${this.#path}.${name}`, message });
    }
  }

  /** Names that are there and were never asked for. */
  unknown(): string[] {
    return [...this.#fields]
      .filter(([folded]) => !this.#asked.has(folded))
      .flatMap(([, twins]) => twins.map(([name]) => name));
  }

  #wrong(field: Field, rule: string): void {
    this.report.problem(field.path, `${rule}, not ${show(field.value)}`);
  }
}

/** A value for a message: short, and never the inside of an object (which could be deep or secret). */
export function show(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object" && value !== null) return "an object";
  const text = typeof value === "string" ? JSON.stringify(value) : String(value);
  return text.length <= MAX_SHOWN ? text : `${text.slice(0, MAX_SHOWN)}…`;
}
