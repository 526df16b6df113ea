/**
 * What the packet filter does with a packet, by walking `nft --json list ruleset` as the kernel
 * walks its chains. A rule that cannot be judged from here makes the verdict "unknown" only if
 * the packet's fate depends on it. Rules of iptables-nft are in the list too. Pure.
 */
import { isJsonObject, type JsonObject } from "../../common/config/json-fields.ts";
import { type FilterPacket, type Match, matchExpression } from "./filter-match.ts";

export interface Verdict {
  readonly verdict: "accept" | "drop" | "unknown";
  /** The chain and rule that decide; empty: no rule did. */
  readonly rule: string;
}

export type Ruleset = readonly JsonObject[];

/** `{nftables: [...]}`; undefined: not such a list. */
export function parseRuleset(text: string): Ruleset | undefined {
  try {
    const parsed: unknown = JSON.parse(text);
    const list: unknown = isJsonObject(parsed) ? parsed["nftables"] : undefined;
    return Array.isArray(list) ? list.filter(isJsonObject) : undefined;
  } catch {
    return undefined;
  }
}

interface Walk {
  readonly ruleset: Ruleset;
  readonly packet: FilterPacket;
  /** A rule that drops if it matches, which is not known. */
  suspect: string;
}

type Outcome = { readonly kind: "accept" | "drop"; readonly rule: string } | "return";

const DEEPEST = 16;

/** The verdict of every filter chain on a hook; a drop in any of them is final. */
export function verdictOf(ruleset: Ruleset, hook: string, packet: FilterPacket): Verdict {
  const walk: Walk = { ruleset, packet, suspect: "" };
  const families = packet.to?.family === 6 ? ["ip6", "inet"] : ["ip", "inet"];
  for (const chain of baseChains(ruleset, hook, families)) {
    const outcome = walkChain(walk, chain, DEEPEST);
    if (outcome !== "return" && outcome.kind === "drop") {
      return { verdict: "drop", rule: outcome.rule };
    }
    if (outcome === "return" && chain["policy"] === "drop") {
      return { verdict: "drop", rule: `${nameOf(chain)}: policy drop` };
    }
  }
  return walk.suspect === ""
    ? { verdict: "accept", rule: "" }
    : { verdict: "unknown", rule: walk.suspect };
}

function baseChains(
  ruleset: Ruleset,
  hook: string,
  families: readonly string[],
): readonly JsonObject[] {
  return ruleset
    .map(({ chain }) => chain)
    .filter(isJsonObject)
    .filter((chain) => chain["hook"] === hook && families.includes(String(chain["family"])))
    .filter((chain) => chain["type"] !== "nat")
    .toSorted((a, b) => Number(a["prio"]) - Number(b["prio"]));
}

function walkChain(walk: Walk, chain: JsonObject, deepest: number): Outcome {
  const inChain = walk.ruleset
    .map(({ rule }) => rule)
    .filter(isJsonObject)
    .filter(
      (rule) =>
        rule["family"] === chain["family"] &&
        rule["table"] === chain["table"] &&
        rule["chain"] === chain["name"],
    );
  for (const rule of inChain) {
    const outcome = walkRule(walk, rule, chain, deepest);
    if (outcome === "leave") return "return";
    if (outcome !== "return") return outcome;
  }
  return "return";
}

/** "return": the next rule; "leave": the chain's end. */
function walkRule(
  walk: Walk,
  rule: JsonObject,
  chain: JsonObject,
  deepest: number,
): Outcome | "leave" {
  const expressions: readonly unknown[] = Array.isArray(rule["expr"]) ? rule["expr"] : [];
  const { match, ending } = readRule(expressions.filter(isJsonObject), walk.packet);
  if (ending === undefined || match === "no") return "return";
  const target = ending["jump"] ?? ending["goto"];
  const outcome = isJsonObject(target)
    ? walkTarget(walk, { ...chain, name: target["target"] ?? "" }, deepest)
    : endingOf(ending, `${nameOf(chain)}: ${describe(expressions)}`);
  if (match === "yes" || outcome === "return") return outcome;
  if (outcome !== "leave" && outcome.kind === "drop" && walk.suspect === "") {
    walk.suspect = outcome.rule;
  }
  return "return";
}

/** Whether its matches hold, and what then becomes of the packet. */
function readRule(
  expressions: readonly JsonObject[],
  packet: FilterPacket,
): { readonly match: Match; readonly ending: JsonObject | undefined } {
  const at = expressions.findIndex((one) => ENDINGS.some((name) => name in one));
  const matches = expressions.slice(0, Math.max(at, 0)).map((one) => judge(one, packet));
  const isMaybe = matches.includes("maybe");
  const match = matches.includes("no") ? "no" : isMaybe ? "maybe" : "yes";
  return { match, ending: expressions[at] };
}

const ENDINGS = ["drop", "reject", "accept", "return", "jump", "goto"] as const;

function endingOf(ending: JsonObject, rule: string): Outcome | "leave" {
  if ("return" in ending) return "leave";
  return { kind: "accept" in ending ? "accept" : "drop", rule };
}

function walkTarget(walk: Walk, chain: JsonObject, deepest: number): Outcome {
  return deepest === 0 ? "return" : walkChain(walk, chain, deepest - 1);
}

/** What is neither a match nor a verdict (counters, comments, logs) lets a packet pass. */
function judge(expression: JsonObject, packet: FilterPacket): Match {
  const { match, xt } = expression;
  if (isJsonObject(match)) return matchExpression(match, packet);
  // An iptables extension that nft only knows by name.
  if (isJsonObject(xt) && xt["type"] === "match") return xt["name"] === "comment" ? "yes" : "maybe";
  return "limit" in expression ? "maybe" : "yes";
}

function nameOf(chain: JsonObject): string {
  return `${String(chain["family"])} ${String(chain["table"])} ${String(chain["name"])}`;
}

const LONGEST_RULE = 200;

/** As short as a person needs to find the rule: its JSON without what counts. */
function describe(expressions: readonly unknown[]): string {
  const told = expressions.filter((one) => isJsonObject(one) && !("counter" in one));
  return JSON.stringify(told).slice(0, LONGEST_RULE);
}
