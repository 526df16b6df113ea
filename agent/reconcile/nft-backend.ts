/**
 * The rules by nftables: one script, one transaction. nft lists rules in its own terms, so the
 * list right after a write of ours is what later lists are compared with; the first write of
 * a process makes the known state, without a moment in which a rule is missing.
 */
import { TwillError } from "../../common/errors.ts";
import type { RunCommand } from "../kernel/command.ts";
import {
  FORWARD,
  isForeignRule,
  type ListedTable,
  type NftChain,
  POSTRTG,
  parseTable,
  rulesOf,
  tableName,
  tableScript,
  tableWords,
} from "../kernel/nft-ruleset.ts";
import type { FamilyFirewall, FirewallPlan } from "../plan/firewall.ts";
import { EachFamily } from "./each-family.ts";
import { emptied, type RuleBackend, type RuleChange } from "./rule-backend.ts";

export class NftBackend implements RuleBackend {
  readonly name = "nftables";
  readonly #run: RunCommand;
  /** What nft listed right after our write, by chain; valid for `#written` of its family. */
  readonly #known = new Map<string, readonly string[]>();
  readonly #written = new Map<string, string>();
  readonly #families = new EachFamily();
  /** False once this kernel refused `fully-random`. */
  #canRandomise = true;

  constructor(run: RunCommand) {
    this.#run = run;
  }

  ensure(plan: FirewallPlan, signal: AbortSignal): Promise<readonly RuleChange[]> {
    return this.#families.ensure(plan, (family) => this.#ensure(family, plan, signal));
  }

  async clear(plan: FirewallPlan, signal: AbortSignal): Promise<readonly RuleChange[]> {
    this.#families.suspect();
    try {
      return await this.ensure(emptied(plan), signal);
    } catch (error) {
      signal.throwIfAborted();
      if (await this.#isInstalled(signal)) throw error;
      return [];
    }
  }

  async #ensure(
    family: FamilyFirewall,
    plan: FirewallPlan,
    signal: AbortSignal,
  ): Promise<readonly RuleChange[]> {
    const listed = await this.#list(family, signal);
    const wanted = tableScript(family, undefined, plan.randomFully);
    const wrong = [POSTRTG, FORWARD].filter(
      (chain) => !this.#isRight(chain, family, listed, wanted),
    );
    if (wrong.length === 0) return [];
    await this.#write(family, listed, plan.randomFully, signal);
    const written = await this.#list(family, signal);
    for (const chain of [POSTRTG, FORWARD]) {
      this.#known.set(keyOf(chain, family), ownTexts(chain, family, written));
    }
    this.#written.set(tableName(family.family), wanted);
    return wrong.map((chain) => ({
      key: keyOf(chain, family),
      expected: `${rulesOf(chain, family).length} rules in order`,
      found: foundText(chain, family, listed),
    }));
  }

  #isRight(
    chain: NftChain,
    family: FamilyFirewall,
    listed: ListedTable | undefined,
    wanted: string,
  ): boolean {
    const texts = ownTexts(chain, family, listed);
    const desired = rulesOf(chain, family).length;
    const found = listed?.get(chain.name);
    if (desired === 0) {
      const isLeftOver = found !== undefined && texts.length === found.rules.length;
      return texts.length === 0 && !isLeftOver;
    }
    if (found?.isOfOurKind !== true || found.policy !== "accept") return false;
    if (this.#written.get(tableName(family.family)) !== wanted) return false;
    const known = this.#known.get(keyOf(chain, family)) ?? [];
    return texts.length === desired && texts.every((text, index) => text === known[index]);
  }

  async #write(
    family: FamilyFirewall,
    listed: ListedTable | undefined,
    randomFully: boolean,
    signal: AbortSignal,
  ): Promise<void> {
    const random = randomFully && this.#canRandomise;
    try {
      await this.#nft(tableScript(family, listed, random), signal);
    } catch (error) {
      signal.throwIfAborted();
      if (!random || family.masquerade.length === 0) throw error;
      // An old kernel or nft does not know fully-random; without it the rules still masquerade.
      await this.#nft(tableScript(family, listed, false), signal);
      this.#canRandomise = false;
    }
  }

  async #nft(stdin: string, signal: AbortSignal): Promise<void> {
    if (stdin !== "") await this.#run(["nft", "--file", "-"], { signal, stdin });
  }

  /** undefined: there is no such table. */
  async #list(family: FamilyFirewall, signal: AbortSignal): Promise<ListedTable | undefined> {
    const [word = "", name = ""] = tableWords(family.family).split(" ");
    const { exitCode, stdout, stderr } = await this.#run(
      ["nft", "--json", "list", "table", word, name],
      { signal, accept: [0, 1] },
    );
    if (exitCode === 1 && stderr.includes("No such file or directory")) return undefined;
    const listed = exitCode === 0 ? parseTable(stdout) : undefined;
    if (listed !== undefined) return listed;
    const said = stderr === "" ? "it printed no JSON" : stderr.trim();
    throw new TwillError("COMMAND_FAILED", `cannot list nftables table ${name}: ${said}`);
  }

  async #isInstalled(signal: AbortSignal): Promise<boolean> {
    try {
      await this.#run(["nft", "--version"], { signal });
      return true;
    } catch {
      signal.throwIfAborted();
      return false;
    }
  }
}

function keyOf(chain: NftChain, family: FamilyFirewall): string {
  return `${tableName(family.family)} ${chain.name}`;
}

/** The rules of a chain that are not another network's. */
function ownTexts(
  chain: NftChain,
  family: FamilyFirewall,
  listed: ListedTable | undefined,
): readonly string[] {
  const rules = listed?.get(chain.name)?.rules ?? [];
  return rules.filter((rule) => !isForeignRule(rule, family.networks)).map(({ text }) => text);
}

function foundText(
  chain: NftChain,
  family: FamilyFirewall,
  listed: ListedTable | undefined,
): string {
  const found = listed?.get(chain.name);
  if (found === undefined) return "absent";
  if (!found.isOfOurKind) return "a chain of another type, hook or priority";
  const count = ownTexts(chain, family, listed).length;
  return `${count} rules, policy ${found.policy}`;
}
