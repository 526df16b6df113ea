/**
 * An operator's command line of the extension backend, read once (contract 3.7): split on
 * blanks, `$NAME` and `${NAME}` filled in word by word, no shell. A value therefore never
 * becomes a second word, a redirection or a command, whatever is in it.
 */

/** A word with the variables that are to be filled in; plain text between them. */
export type CommandWords = readonly [string, ...string[]];

export type ReadCommand =
  | { readonly kind: "words"; readonly words: CommandWords }
  /** There is no such command. */
  | { readonly kind: "none" }
  | { readonly kind: "invalid"; readonly reason: string };

export type Variables = Readonly<Record<string, string>>;

const VARIABLE = /\$(?:\{([^}]*)\}|([A-Za-z_][A-Za-z0-9_]*))/g;
/** What only a shell would understand: whoever writes it expects one. */
const SHELL_WORD = /^(?:[|&;<>]+|[0-9]*>&?[0-9]*|.*\$\(.*|.*`.*|["'].*|.*["';])$/;

/** `names`: the variables that this command is given. */
export function readCommand(field: string, text: string, names: readonly string[]): ReadCommand {
  const [program, ...args] = text.split(/\s+/).filter((word) => word !== "");
  if (program === undefined) return { kind: "none" };
  const words: CommandWords = [program, ...args];
  for (const word of words) {
    const reason = wordProblem(word, names);
    if (reason !== undefined) return { kind: "invalid", reason: `${field}: ${reason}` };
  }
  return { kind: "words", words };
}

/** The command line as it is run; readCommand has seen that every variable is known. */
export function fillIn([program, ...args]: CommandWords, values: Variables): CommandWords {
  const fill = (word: string): string =>
    word.replaceAll(VARIABLE, (_, braced?: string, plain?: string) => {
      const name = braced ?? plain ?? "";
      return Object.hasOwn(values, name) ? (values[name] ?? "") : "";
    });
  return [fill(program), ...args.map(fill)];
}

function wordProblem(word: string, names: readonly string[]): string | undefined {
  if (SHELL_WORD.test(word)) {
    return `"${word}" means something to a shell only, and commands are run without one; put it into a script and name the script`;
  }
  for (const [whole, braced, plain] of word.matchAll(VARIABLE)) {
    if (!names.includes(braced ?? plain ?? "")) {
      return `there is no variable ${whole} here; there are ${names.length === 0 ? "none" : names.join(", ")}`;
    }
  }
  return undefined;
}
