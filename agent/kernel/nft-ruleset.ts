/**
 * nftables text, pure: our tables and chains with flannel's names, hooks and priorities
 * (contract 4.2), the script that puts them right in one transaction, and what
 * `nft --json list table` says of them.
 *
 * Every rule carries a comment with its network. So the rules of another network in the same
 * chains are known and left alone; a rule without such a comment (flannel's own, or one that
 * somebody put in) goes.
 */
import { type Cidr, formatCidr } from "../../common/net/cidr.ts";
import type { Family } from "../../common/net/ip.ts";
import type { FamilyFirewall, FirewallRule, NetworkMatch } from "../plan/firewall.ts";

export interface NftChain {
  readonly name: "postrtg" | "forward";
  readonly type: "nat" | "filter";
  readonly hook: "postrouting" | "forward";
  /** By name as nft takes it, and the number it lists. */
  readonly priority: "srcnat" | "filter";
  readonly priorityNumber: number;
  readonly comment: string;
}

export const POSTRTG: NftChain = {
  name: "postrtg",
  type: "nat",
  hook: "postrouting",
  priority: "srcnat",
  priorityNumber: 100,
  comment: "chain to manage traffic masquerading by flannel",
};

export const FORWARD: NftChain = {
  name: "forward",
  type: "filter",
  hook: "forward",
  priority: "filter",
  priorityNumber: 0,
  comment: "chain to accept flannel traffic",
};

export function tableName(family: Family): string {
  return family === 4 ? "flannel-ipv4" : "flannel-ipv6";
}

/** "ip flannel-ipv4": how nft scripts name the table. */
export function tableWords(family: Family): string {
  return `${family === 4 ? "ip" : "ip6"} ${tableName(family)}`;
}

/** A rule as `nft --json` lists it; `text` is all of it but its handle. */
export interface ListedRule {
  readonly handle: number;
  readonly comment: string;
  readonly text: string;
}

export interface ListedChain {
  /** False when hook, type or priority are not ours: it must be made anew. */
  readonly isOfOurKind: boolean;
  readonly policy: string;
  readonly rules: readonly ListedRule[];
}

export type ListedTable = ReadonlyMap<string, ListedChain>;

export function networkComment(network: Cidr): string {
  return `twill ${formatCidr(network)}`;
}

/** Another network's rule. */
export function isForeignRule(rule: ListedRule, ours: readonly Cidr[]): boolean {
  return rule.comment.startsWith("twill ") && !ours.some((n) => networkComment(n) === rule.comment);
}

export function ruleText(rule: FirewallRule, family: Family, randomFully: boolean): string {
  const protocol = family === 4 ? "ip" : "ip6";
  const mark = rule.mark === undefined ? "" : markMatch(rule.mark);
  const random = rule.verdict === "masquerade" && randomFully ? "fully-random" : "";
  return [
    mark,
    addressMatch(`${protocol} saddr`, rule.source),
    addressMatch(`${protocol} daddr`, rule.destination),
    rule.verdict,
    random,
  ]
    .filter((words) => words !== "")
    .join(" ");
}

function markMatch(mark: number): string {
  const hex = `0x${mark.toString(16)}`;
  return `meta mark & ${hex} == ${hex}`;
}

function addressMatch(field: string, match: NetworkMatch | undefined): string {
  if (match === undefined) return "";
  return `${field} ${match.negated ? "!= " : ""}${formatCidr(match.network)}`;
}

/** The desired rules of one chain of a family; empty: none. */
export function rulesOf(chain: NftChain, family: FamilyFirewall): readonly FirewallRule[] {
  return chain === POSTRTG ? family.masquerade : family.forward;
}

/**
 * The script that makes the family's table right, whatever is there now: old rules of ours go
 * and new ones come in one transaction. `listed` undefined: the table does not exist.
 */
export function tableScript(
  family: FamilyFirewall,
  listed: ListedTable | undefined,
  randomFully: boolean,
): string {
  const table = tableWords(family.family);
  const name = tableName(family.family);
  const chains = [POSTRTG, FORWARD].map((chain) => ({ chain, found: listed?.get(chain.name) }));
  const isWanted = chains.some(
    ({ chain, found }) => rulesOf(chain, family).length > 0 || hasForeign(found, family.networks),
  );
  if (!isWanted) return listed === undefined ? "" : `delete table ${table}\n`;
  const lines = [
    `add table ${table} { comment "rules for ${name}" ; }`,
    ...chains.flatMap(({ chain, found }) => chainScript(chain, family, found, randomFully)),
  ];
  return `${lines.join("\n")}\n`;
}

function chainScript(
  chain: NftChain,
  family: FamilyFirewall,
  found: ListedChain | undefined,
  randomFully: boolean,
): string[] {
  const where = `${tableWords(family.family)} ${chain.name}`;
  const desired = rulesOf(chain, family);
  if (desired.length === 0 && !hasForeign(found, family.networks)) {
    return found === undefined ? [] : [`flush chain ${where}`, `delete chain ${where}`];
  }
  const isUsable = found?.isOfOurKind ?? true;
  const old = (found?.rules ?? []).filter((rule) => !isForeignRule(rule, family.networks));
  const declare =
    `add chain ${where} { type ${chain.type} hook ${chain.hook} priority ${chain.priority} ; ` +
    `policy accept ; comment "${chain.comment}" ; }`;
  const [network] = family.networks;
  const comment = network === undefined ? "" : ` comment "${networkComment(network)}"`;
  return [
    ...(isUsable ? [] : [`flush chain ${where}`, `delete chain ${where}`]),
    declare,
    ...(isUsable ? old.map(({ handle }) => `delete rule ${where} handle ${handle}`) : []),
    ...desired.map(
      (rule) => `add rule ${where} ${ruleText(rule, family.family, randomFully)}${comment}`,
    ),
  ];
}

function hasForeign(found: ListedChain | undefined, ours: readonly Cidr[]): boolean {
  return found?.isOfOurKind === true && found.rules.some((rule) => isForeignRule(rule, ours));
}

/** Reads the output of `nft --json list table …`; undefined when it is not what nft prints. */
export function parseTable(json: string): ListedTable | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(json);
  } catch {
    return undefined;
  }
  const items = field(parsed, "nftables");
  if (!Array.isArray(items)) return undefined;
  const chains = new Map<string, ListedChain>();
  for (const item of items) {
    const chain = field(item, "chain");
    if (chain !== undefined) chains.set(text(field(chain, "name")), listedChain(chain));
  }
  for (const item of items) {
    const rule = field(item, "rule");
    if (rule === undefined) continue;
    const name = text(field(rule, "chain"));
    const chain = chains.get(name);
    if (chain !== undefined) {
      chains.set(name, { ...chain, rules: [...chain.rules, listedRule(rule)] });
    }
  }
  return chains;
}

function listedChain(chain: unknown): ListedChain {
  const ours = [POSTRTG, FORWARD].find(({ name }) => name === field(chain, "name"));
  const isOfOurKind =
    ours !== undefined &&
    field(chain, "type") === ours.type &&
    field(chain, "hook") === ours.hook &&
    field(chain, "prio") === ours.priorityNumber;
  return { isOfOurKind, policy: text(field(chain, "policy")), rules: [] };
}

function listedRule(rule: unknown): ListedRule {
  const comment = field(rule, "comment");
  return {
    handle: Number(field(rule, "handle")),
    comment: text(comment),
    text: JSON.stringify([field(rule, "expr"), comment ?? ""]),
  };
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function field(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null) return undefined;
  const found: unknown = Reflect.get(value, name);
  return found;
}
