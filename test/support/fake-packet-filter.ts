/**
 * iptables and nft as programs over rules in memory: save and restore for both families, and
 * as much of nft as listing and writing our tables takes. Failures can be ordered by the start
 * of a command line.
 */
import type { CommandOutput, RunCommand } from "../../agent/kernel/command.ts";
import { TwillError } from "../../common/errors.ts";

const OK: CommandOutput = { exitCode: 0, stdout: "", stderr: "" };

interface NftRule {
  readonly handle: number;
  readonly text: string;
}

export class FakePacketFilter {
  /** "iptables nat FLANNEL-POSTRTG" → its "-A …" lines. */
  readonly chains = new Map<string, string[]>();
  /** "ip flannel-ipv4 postrtg" → its rules. */
  readonly nftRules = new Map<string, NftRule[]>();
  /** Every command line. */
  readonly log: string[] = [];
  readonly #failures: { readonly line: string; left: number }[] = [];
  readonly #listeners = new Set<() => void>();
  #handle = 0;

  /** The next `times` command lines that start so fail. */
  failNext(line: string, times = 1): void {
    this.#failures.push({ line, left: times });
  }

  readonly run: RunCommand = async (argv, { signal, stdin = "" }) => {
    signal.throwIfAborted();
    await Promise.resolve();
    const line = argv.join(" ");
    this.log.push(line);
    const failure = this.#failures.find((one) => one.left > 0 && line.startsWith(one.line));
    if (failure !== undefined) {
      failure.left -= 1;
      throw new TwillError("COMMAND_FAILED", `"${line}" failed: ordered`);
    }
    return this.#answer(argv, stdin);
  };

  /** For FirewallPorts. */
  readonly watchRuleset = (listener: () => void): Disposable => {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  };

  get watchers(): number {
    return this.#listeners.size;
  }

  /** Somebody changed the ruleset. */
  changed(): void {
    for (const listener of this.#listeners) listener();
  }

  /** Command lines that wrote. */
  writes(): readonly string[] {
    return this.log.filter((line) => /-restore|--file/.test(line));
  }

  #answer([program, ...args]: readonly [string, ...string[]], stdin: string): CommandOutput {
    if (args[0] === "--version") return { ...OK, stdout: `${program} v1.8.9 (nf_tables)` };
    const [, family = "", verb = ""] = /^(ip6?tables)-(save|restore)$/.exec(program) ?? [];
    if (verb === "save") return { ...OK, stdout: this.#save(family, args[1] ?? "") };
    if (verb === "restore") return this.#restored(family, stdin);
    if (program === "nft" && args[0] === "--json") return this.#listTable(args.slice(3).join(" "));
    if (program === "nft") return this.#script(stdin);
    // An operator's own program (backend extension) has nothing to say.
    if (program.startsWith("/opt/ext/")) return OK;
    throw new TwillError("COMMAND_FAILED", `there is no program "${program}"`);
  }

  #save(family: string, table: string): string {
    const prefix = `${family} ${table} `;
    const own = [...this.chains].filter(([key]) => key.startsWith(prefix));
    const heads = own.map(([key]) => `:${key.slice(prefix.length)} - [0:0]`);
    return [`*${table}`, ...heads, ...own.flatMap(([, rules]) => rules), "COMMIT", ""].join("\n");
  }

  #restored(family: string, input: string): CommandOutput {
    let table = "";
    for (const line of input.split("\n")) {
      const [word = "", name = ""] = line.split(" ");
      const key = (chain: string): string => `${family} ${table} ${chain}`;
      if (line.startsWith("*")) table = line.slice(1);
      if (line.startsWith(":")) this.chains.set(key(word.slice(1)), []);
      if (word === "-X") this.chains.delete(key(name));
      const rules = this.chains.get(key(name)) ?? [];
      if (word === "-A") this.chains.set(key(name), [...rules, line]);
      if (word === "-D") rules.splice(rules.indexOf(line.replace("-D ", "-A ")), 1);
    }
    this.changed();
    return OK;
  }

  #listTable(table: string): CommandOutput {
    const chains = [...this.nftRules].filter(([key]) => key.startsWith(`${table} `));
    if (chains.length === 0) {
      return { exitCode: 1, stdout: "", stderr: "Error: No such file or directory" };
    }
    const nftables = chains.flatMap(([key, rules]) => {
      const name = key.split(" ")[2] ?? "";
      const kind =
        name === "postrtg"
          ? { type: "nat", hook: "postrouting", prio: 100 }
          : { type: "filter", hook: "forward", prio: 0 };
      return [
        { chain: { name, ...kind, policy: "accept" } },
        ...rules.map(({ handle, text }) => ({ rule: { chain: name, handle, ...parts(text) } })),
      ];
    });
    return { ...OK, stdout: JSON.stringify({ nftables }) };
  }

  #script(script: string): CommandOutput {
    for (const line of script.split("\n")) {
      const [verb = "", kind = "", ...rest] = line.split(" ");
      const where = rest.slice(0, 3).join(" ");
      const rules = this.nftRules.get(where) ?? [];
      const words = rest.slice(3);
      this.#statement(`${verb} ${kind}`, where, { rules, words });
    }
    this.changed();
    return OK;
  }

  #statement(
    what: string,
    where: string,
    { rules, words }: { rules: readonly NftRule[]; words: readonly string[] },
  ): void {
    switch (what) {
      case "add chain":
        this.nftRules.set(where, [...rules]);
        return;
      case "flush chain":
        this.nftRules.set(where, []);
        return;
      case "delete chain":
        this.nftRules.delete(where);
        return;
      case "delete table":
        for (const key of this.nftRules.keys()) {
          if (key.startsWith(`${where} `)) this.nftRules.delete(key);
        }
        return;
      case "delete rule":
        this.nftRules.set(
          where,
          rules.filter(({ handle }) => handle !== Number(words[1])),
        );
        return;
      case "add rule":
        this.#handle += 1;
        this.nftRules.set(where, [...rules, { handle: this.#handle, text: words.join(" ") }]);
        return;
      default:
    }
  }
}

/** nft lists a rule's comment beside its expressions. */
function parts(text: string): { readonly expr: readonly string[]; readonly comment?: string } {
  const [, expr = text, comment] = /^(.*?)(?: comment "(.*)")?$/.exec(text) ?? [];
  return comment === undefined ? { expr: [expr] } : { expr: [expr], comment };
}
