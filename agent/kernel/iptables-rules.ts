/**
 * iptables text, pure: the rules exactly as flannel writes them (contract 4.1), what
 * iptables-save says of them, and the one iptables-restore input that puts them right. One
 * input is one transaction: at no moment is a rule of ours missing.
 *
 * Two networks on one host share flannel's chains. So the other's rules (flannel's comment,
 * addresses outside our networks) are kept as they stand; everything else in the chains is
 * ours, and what does not belong there goes.
 */
import { type Cidr, formatCidr, overlaps, parseCidr } from "../../common/net/cidr.ts";
import type { FirewallRule, NetworkMatch } from "../plan/firewall.ts";

/** One chain of ours, and the jump to it. */
export interface OwnChain {
  readonly table: "nat" | "filter";
  readonly parent: "POSTROUTING" | "FORWARD";
  readonly name: string;
  readonly comment: string;
}

export const MASQUERADE_CHAIN: OwnChain = {
  table: "nat",
  parent: "POSTROUTING",
  name: "FLANNEL-POSTRTG",
  comment: "flanneld masq",
};

export const FORWARD_CHAIN: OwnChain = {
  table: "filter",
  parent: "FORWARD",
  name: "FLANNEL-FWD",
  comment: "flanneld forward",
};

/** What iptables-save shows of one of our chains. */
export interface ChainState {
  readonly exists: boolean;
  /** Whole lines ("-A FLANNEL-FWD -s …"), in order. */
  readonly rules: readonly string[];
  /** Lines of the parent chain that jump to it. */
  readonly jumps: readonly string[];
}

export function jumpLine({ parent, name, comment }: OwnChain): string {
  return `-A ${parent} -m comment --comment "${comment}" -j ${name}`;
}

export function ruleLine(chain: OwnChain, rule: FirewallRule, randomFully: boolean): string {
  const random = rule.verdict === "masquerade" && randomFully ? ["--random-fully"] : [];
  const mark = rule.mark === undefined ? [] : ["-m mark --mark", markText(rule.mark)];
  return [
    `-A ${chain.name}`,
    ...matchWords("-s", rule.source),
    ...matchWords("-d", rule.destination),
    ...mark,
    `-m comment --comment "${chain.comment}"`,
    `-j ${rule.verdict.toUpperCase()}`,
    ...random,
  ].join(" ");
}

function matchWords(option: "-s" | "-d", match: NetworkMatch | undefined): string[] {
  if (match === undefined) return [];
  return [...(match.negated ? ["!"] : []), option, formatCidr(match.network)];
}

function markText(mark: number): string {
  const hex = `0x${mark.toString(16)}`;
  return `${hex}/${hex}`;
}

/** Reads one chain of ours out of the output of `iptables-save -t <table>`. */
export function parseChain(save: string, chain: OwnChain): ChainState {
  const lines = save.split("\n").map((line) => line.trim());
  const target = new RegExp(` -[jg] ${chain.name}( |$)`);
  return {
    exists: lines.some((line) => line.startsWith(`:${chain.name} `)),
    rules: lines.filter((line) => line.startsWith(`-A ${chain.name} `)),
    jumps: lines.filter((line) => line.startsWith(`-A ${chain.parent} `) && target.test(line)),
  };
}

/** Another network's rule of the same shape. */
export function isForeign(line: string, chain: OwnChain, ours: readonly Cidr[]): boolean {
  if (!line.includes(`--comment "${chain.comment}"`)) return false;
  const words = line.split(" ");
  const named = words
    .filter((_, index) => words[index - 1] === "-s" || words[index - 1] === "-d")
    .map((text) =>
      parseCidr(text.includes("/") ? text : `${text}/${text.includes(":") ? 128 : 32}`),
    );
  if (named.length === 0) return false;
  return named.every(
    (network) => network !== undefined && !ours.some((own) => overlaps(own, network)),
  );
}

export interface ChainVerdict {
  readonly isRight: boolean;
  /** The first difference, for people: "absent", or the line that is not as it should be. */
  readonly found: string;
}

/** Compares with the desired lines; `desired` empty: nothing of ours may be there. */
export function judgeChain(
  state: ChainState,
  chain: OwnChain,
  desired: readonly string[],
  ours: readonly Cidr[],
): ChainVerdict {
  const { kept, own } = sorted(state, chain, ours);
  const wanted = wantedLines(desired, kept, own);
  const isWanted = wanted.length + kept.length > 0;
  const jumps = isWanted ? [jumpLine(chain)] : [];
  const found = firstDifference([...jumps, ...wanted], [...state.jumps, ...own]);
  if (found !== undefined) return { isRight: false, found };
  return { isRight: state.exists === isWanted, found: state.exists ? "an empty chain" : "absent" };
}

interface SortedRules {
  readonly kept: readonly string[];
  readonly own: readonly string[];
}

function sorted(state: ChainState, chain: OwnChain, ours: readonly Cidr[]): SortedRules {
  const kept = state.rules.filter((line) => isForeign(line, chain, ours));
  return { kept, own: state.rules.filter((line) => !kept.includes(line)) };
}

/** The mark rule names no network: as long as another network has rules, it stays for them. */
function wantedLines(
  desired: readonly string[],
  kept: readonly string[],
  own: readonly string[],
): readonly string[] {
  if (desired.length > 0 || kept.length === 0) return desired;
  return own.filter((line) => line.includes(" --mark ")).slice(0, 1);
}

function firstDifference(
  desired: readonly string[],
  actual: readonly string[],
): string | undefined {
  const length = Math.max(desired.length, actual.length);
  for (let index = 0; index < length; index += 1) {
    if (desired[index] !== actual[index]) return actual[index] ?? "absent";
  }
  return undefined;
}

/** The restore input for one table that makes the chain right, whatever is there now. */
export function restoreInput(
  state: ChainState,
  chain: OwnChain,
  desired: readonly string[],
  ours: readonly Cidr[],
): string {
  const { kept, own } = sorted(state, chain, ours);
  const wanted = wantedLines(desired, kept, own);
  const isWanted = wanted.length + kept.length > 0;
  const jump = jumpLine(chain);
  const hasJump = state.jumps.includes(jump);
  // One right jump stays where it is; its place among others' rules is the operator's.
  const superfluous = [...state.jumps];
  if (isWanted && hasJump) superfluous.splice(superfluous.indexOf(jump), 1);
  const lines = [
    `*${chain.table}`,
    // With --noflush this empties the chain, or creates it.
    `:${chain.name} - [0:0]`,
    ...superfluous.map((line) => line.replace("-A ", "-D ")),
    ...wanted,
    ...kept,
    ...(isWanted && !hasJump ? [jump] : []),
    ...(isWanted ? [] : [`-X ${chain.name}`]),
    "COMMIT",
  ];
  return `${lines.join("\n")}\n`;
}

/** "iptables v1.8.9 (nf_tables)" as [1, 8, 9]; undefined when it says something else. */
export function parseVersion(text: string): readonly [number, number, number] | undefined {
  const match = /v([0-9]+)\.([0-9]+)\.([0-9]+)/.exec(text);
  return match === null ? undefined : [Number(match[1]), Number(match[2]), Number(match[3])];
}

/** --random-fully and iptables-restore --wait came with 1.6.2. */
export function isModern(version: readonly [number, number, number]): boolean {
  const [major, minor, patch] = version;
  return major * 10_000 + minor * 100 + patch >= 10_602;
}
