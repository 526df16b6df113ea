/**
 * The grammar of the command line, as Go's flag package has it: `-x` or `--x`, the value
 * after `=` or as the next argument, booleans without one. Knows nothing of what options mean.
 */
import { nearest } from "../text/nearest.ts";

/** All that the grammar needs to know of an option. */
export interface Shape {
  readonly flag: string;
  /** A boolean takes no separate argument. */
  readonly isBoolean: boolean;
}

export interface CommandLine {
  /** `--help` or `--version` is there: nothing else counts. */
  readonly asks: "help" | "version" | undefined;
  /** Texts by flag, in the order given. */
  readonly texts: ReadonlyMap<string, readonly string[]>;
  readonly problems: readonly string[];
}

const QUESTIONS: ReadonlyMap<string, "help" | "version"> = new Map([
  ["h", "help"],
  ["help", "help"],
  ["version", "version"],
]);

const OPTION = /^--?([^-=][^=]*)(?:=(.*))?$/s;
const MAX_SHOWN = 80;

export function readCommandLine(
  argv: readonly string[],
  shapes: ReadonlyMap<string, Shape>,
): CommandLine {
  const reader = new Reader(argv, shapes);
  let asks: CommandLine["asks"];
  while (asks === undefined && !reader.isAtEnd) asks = reader.readOne();
  return { asks, texts: reader.texts, problems: reader.problems };
}

class Reader {
  readonly texts = new Map<string, string[]>();
  readonly problems: string[] = [];
  readonly #argv: readonly string[];
  readonly #shapes: ReadonlyMap<string, Shape>;
  #index = 0;
  /** The boolean just read, for the hint when a stray "true" follows it. */
  #lastBoolean: string | undefined;

  constructor(argv: readonly string[], shapes: ReadonlyMap<string, Shape>) {
    this.#argv = argv;
    this.#shapes = shapes;
  }

  get isAtEnd(): boolean {
    return this.#index >= this.#argv.length;
  }

  /** Reads one option with its value, or one stray argument. */
  readOne(): "help" | "version" | undefined {
    const argument = this.#take();
    const [, name, attached] = OPTION.exec(argument) ?? [];
    if (name === undefined) {
      this.#refuseStray(argument);
      return undefined;
    }
    this.#lastBoolean = undefined;
    const shape = this.#shapes.get(name);
    if (shape !== undefined) this.#readValue(shape, attached);
    else if (QUESTIONS.has(name)) return QUESTIONS.get(name);
    else this.#refuseUnknown(name, attached !== undefined);
    return undefined;
  }

  #readValue({ flag, isBoolean }: Shape, attached: string | undefined): void {
    const next = this.#argv[this.#index];
    if (attached !== undefined) {
      this.#add(flag, attached);
    } else if (isBoolean) {
      this.#lastBoolean = flag;
      this.#add(flag, "true");
    } else if (next === undefined || this.#isOption(next)) {
      // Go would take "--iface --ip-masq" as the interface "--ip-masq"; nobody means that.
      this.problems.push(`--${flag} needs a value: --${flag}=VALUE`);
    } else {
      this.#add(flag, this.#take());
    }
  }

  #refuseUnknown(name: string, hasValue: boolean): void {
    const meant = nearest(name, [...this.#shapes.keys(), ...QUESTIONS.keys()]);
    const hint = meant === undefined ? "see --help" : `did you mean --${meant}?`;
    this.problems.push(`unknown option --${name.slice(0, MAX_SHOWN)}; ${hint}`);
    // What follows is most likely its value: one mistake, one problem.
    const next = this.#argv[this.#index];
    if (!hasValue && next !== undefined && !next.startsWith("-")) this.#take();
  }

  /** Go stops reading here without a word: after "--ip-masq true" all other options are lost. */
  #refuseStray(argument: string): void {
    const shown = JSON.stringify(argument.slice(0, MAX_SHOWN));
    const boolean = this.#lastBoolean;
    const hint =
      boolean !== undefined && /^(true|false)$/i.test(argument)
        ? `a boolean takes its value after "=": --${boolean}=${argument}`
        : "see --help";
    this.problems.push(`unexpected argument ${shown}; ${hint}`);
  }

  #isOption(argument: string): boolean {
    const name = OPTION.exec(argument)?.[1];
    return name !== undefined && (this.#shapes.has(name) || QUESTIONS.has(name));
  }

  #add(flag: string, text: string): void {
    this.texts.set(flag, [...(this.texts.get(flag) ?? []), text]);
  }

  #take(): string {
    const argument = this.#argv[this.#index] ?? "";
    this.#index += 1;
    return argument;
  }
}
