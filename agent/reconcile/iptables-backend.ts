/**
 * The rules by iptables: iptables-save says what is there, one iptables-restore per table puts
 * it right. Read back after every write: the kernel's rendering of what was written is what
 * later reads are compared with, so a version that prints a rule in other words causes no
 * endless repair.
 */
import { TwillError } from "../../common/errors.ts";
import type { Family } from "../../common/net/ip.ts";
import type { RunCommand } from "../kernel/command.ts";
import {
  type ChainState,
  FORWARD_CHAIN,
  isForeign,
  isModern,
  judgeChain,
  MASQUERADE_CHAIN,
  type OwnChain,
  parseChain,
  parseVersion,
  restoreInput,
  ruleLine,
} from "../kernel/iptables-rules.ts";
import type { FamilyFirewall, FirewallPlan } from "../plan/firewall.ts";
import { EachFamily } from "./each-family.ts";
import { emptied, type RuleBackend, type RuleChange } from "./rule-backend.ts";

/** How long to wait for somebody else's iptables to finish. */
const LOCK_SECONDS = 5;

interface Programs {
  readonly save: string;
  readonly restore: readonly [string, ...string[]];
  readonly canRandomise: boolean;
}

export class IptablesBackend implements RuleBackend {
  readonly name = "iptables";
  readonly #run: RunCommand;
  /** What the kernel shows for lines that we wrote, by our lines. */
  readonly #rendered = new Map<string, readonly string[]>();
  /** Asked once: a version does not change under a process often enough to ask every time. */
  readonly #installed = new Map<Family, Programs>();
  readonly #families = new EachFamily();

  constructor(run: RunCommand) {
    this.#run = run;
  }

  ensure(plan: FirewallPlan, signal: AbortSignal): Promise<readonly RuleChange[]> {
    return this.#families.ensure(plan, (family, isNeeded) =>
      this.#ensureFamily(family, plan, isNeeded, signal),
    );
  }

  clear(plan: FirewallPlan, signal: AbortSignal): Promise<readonly RuleChange[]> {
    this.#families.suspect();
    return this.ensure(emptied(plan), signal);
  }

  async #ensureFamily(
    family: FamilyFirewall,
    plan: FirewallPlan,
    isNeeded: boolean,
    signal: AbortSignal,
  ): Promise<readonly RuleChange[]> {
    const changes: RuleChange[] = [];
    const programs = await this.#programs(family.family, isNeeded, signal);
    if (programs === undefined) return changes;
    for (const chain of [MASQUERADE_CHAIN, FORWARD_CHAIN]) {
      const change = await this.#ensureChain(chain, family, { plan, programs }, signal);
      if (change !== undefined) changes.push(change);
    }
    return changes;
  }

  async #ensureChain(
    chain: OwnChain,
    family: FamilyFirewall,
    { plan, programs }: { plan: FirewallPlan; programs: Programs },
    signal: AbortSignal,
  ): Promise<RuleChange | undefined> {
    const rules = chain === MASQUERADE_CHAIN ? family.masquerade : family.forward;
    const random = plan.randomFully && programs.canRandomise;
    const lines = rules.map((rule) => ruleLine(chain, rule, random));
    const { networks } = family;
    const state = await this.#read(programs, chain, signal);
    const verdict = judgeChain(
      state,
      chain,
      this.#rendered.get(lines.join("\n")) ?? lines,
      networks,
    );
    if (verdict.isRight) return undefined;
    const stdin = restoreInput(state, chain, lines, networks);
    await this.#run(programs.restore, { signal, stdin });
    await this.#checkWritten(programs, chain, { lines, networks }, signal);
    return {
      key: `${chain.table} ${chain.name} (IPv${family.family})`,
      expected: `${lines.length} rules in order, and one jump to them`,
      found: verdict.found,
    };
  }

  async #checkWritten(
    programs: Programs,
    chain: OwnChain,
    { lines, networks }: { lines: readonly string[]; networks: FamilyFirewall["networks"] },
    signal: AbortSignal,
  ): Promise<void> {
    const state = await this.#read(programs, chain, signal);
    if (judgeChain(state, chain, lines, networks).isRight) return;
    const own = state.rules.filter((line) => !isForeign(line, chain, networks));
    if (own.length === lines.length) this.#rendered.set(lines.join("\n"), own);
  }

  async #read(programs: Programs, chain: OwnChain, signal: AbortSignal): Promise<ChainState> {
    const { stdout } = await this.#run([programs.save, "-t", chain.table], { signal });
    return parseChain(stdout, chain);
  }

  /** undefined: not installed, and not needed. */
  async #programs(
    family: Family,
    isNeeded: boolean,
    signal: AbortSignal,
  ): Promise<Programs | undefined> {
    const known = this.#installed.get(family);
    if (known !== undefined) return known;
    const name = family === 4 ? "iptables" : "ip6tables";
    try {
      const { stdout } = await this.#run([name, "--version"], { signal });
      const programs = programsOf(name, stdout);
      this.#installed.set(family, programs);
      return programs;
    } catch (error) {
      signal.throwIfAborted();
      if (!isNeeded) return undefined;
      throw new TwillError(
        "COMMAND_FAILED",
        `${TwillError.from(error).message}; install iptables, or set "EnableNFTables": true in the network config`,
        { cause: error },
      );
    }
  }
}

function programsOf(name: string, versionText: string): Programs {
  const version = parseVersion(versionText);
  const isRecent = version === undefined || isModern(version);
  return {
    save: `${name}-save`,
    restore: [`${name}-restore`, "--noflush", ...(isRecent ? [`--wait=${LOCK_SECONDS}`] : [])],
    canRandomise: isRecent,
  };
}
