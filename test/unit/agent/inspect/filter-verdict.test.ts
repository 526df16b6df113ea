/** What a packet meets in rules as nft lists them: by chain, policy, jump, and by what cannot be known. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { FilterPacket } from "../../../../agent/inspect/filter-match.ts";
import { parseRuleset, type Verdict, verdictOf } from "../../../../agent/inspect/filter-verdict.ts";
import { parseIp } from "../../../../common/net/ip.ts";

const PACKET: FilterPacket = {
  iif: "cni0",
  oif: "flannel.1",
  from: parseIp("10.244.1.5"),
  to: parseIp("10.244.2.7"),
  protocol: "icmp",
  port: undefined,
};
const TUNNEL: FilterPacket = {
  ...{ iif: "eth0", oif: "", from: parseIp("10.0.0.1"), to: parseIp("10.0.0.2") },
  ...{ protocol: "udp", port: 8472 },
};

const chain = (name: string, more: object = {}) => ({
  chain: { family: "ip", table: "t", name, ...more },
});
const base = (hook: string, policy = "accept") =>
  chain("base", { type: "filter", hook, prio: 0, policy });
const rule = (inChain: string, ...expr: object[]) => ({
  rule: { family: "ip", table: "t", chain: inChain, expr },
});
const meta = (key: string, right: unknown, op = "==") => ({
  match: { op, left: { meta: { key } }, right },
});
const field = (protocol: string, name: string, right: unknown, op = "==") => ({
  match: { op, left: { payload: { protocol, field: name } }, right },
});
const DROP = { drop: null };
const ACCEPT = { accept: null };

function verdict(hook: string, packet: FilterPacket, ...list: object[]): Verdict["verdict"] {
  const ruleset = parseRuleset(JSON.stringify({ nftables: list }));
  assert.ok(ruleset);
  return verdictOf(ruleset, hook, packet).verdict;
}

describe("the packet filter's verdict", () => {
  it("is accept where nothing is said, and the policy's where no rule decides", () => {
    assert.equal(verdict("forward", PACKET), "accept");
    assert.equal(verdict("forward", PACKET, base("forward", "drop")), "drop");
    assert.equal(verdict("input", PACKET, base("forward", "drop")), "accept");
    const v6 = { ...PACKET, to: parseIp("fd00::1") };
    assert.equal(verdict("forward", v6, base("forward", "drop")), "accept");
  });

  it("follows the first rule that matches, through jumps and back", () => {
    const docker = [base("forward", "drop"), chain("user")];
    const toUser = rule("base", { jump: { target: "user" } });
    const pass = rule(
      "user",
      field("ip", "saddr", { prefix: { addr: "10.244.0.0", len: 16 } }),
      ACCEPT,
    );
    assert.equal(verdict("forward", PACKET, ...docker, toUser, pass), "accept");
    const leave = rule("user", { return: null });
    assert.equal(verdict("forward", PACKET, ...docker, toUser, leave, pass), "drop");
    const loop = rule("user", { jump: { target: "user" } });
    assert.equal(verdict("forward", PACKET, ...docker, toUser, loop), "drop");
  });

  it("knows ports, interfaces, address sets, ranges and the first packet's state", () => {
    const drops = (packet: FilterPacket, ...expr: object[]) =>
      verdict("input", packet, base("input"), rule("base", ...expr, DROP)) === "drop";
    assert.ok(drops(TUNNEL, field("udp", "dport", 8472)));
    assert.ok(drops(TUNNEL, field("udp", "dport", { set: [53, { range: [8000, 9000] }] })));
    assert.ok(!drops(TUNNEL, field("udp", "dport", 53)));
    assert.ok(!drops(TUNNEL, field("tcp", "dport", 8472)));
    assert.ok(!drops(PACKET, field("udp", "dport", 8472)));
    assert.ok(drops(TUNNEL, meta("iifname", "eth*")));
    assert.ok(drops(TUNNEL, meta("iifname", "lo", "!=")));
    assert.ok(drops(PACKET, field("ip", "daddr", { set: ["10.244.2.7", "10.244.2.8"] })));
    const state = { match: { op: "in", left: { ct: { key: "state" } }, right: ["established"] } };
    assert.ok(!drops(TUNNEL, state));
  });

  it("is unknown only when a rule that cannot be judged may drop the packet", () => {
    const set = field("ip", "saddr", "@banned");
    assert.equal(verdict("input", TUNNEL, base("input"), rule("base", set, DROP)), "unknown");
    assert.equal(verdict("input", TUNNEL, base("input"), rule("base", set, ACCEPT)), "accept");
    const xt = { xt: { type: "match", name: "tcp" } };
    assert.equal(verdict("input", TUNNEL, base("input"), rule("base", xt, DROP)), "unknown");
    const comment = { xt: { type: "match", name: "comment" } };
    assert.equal(verdict("input", TUNNEL, base("input"), rule("base", comment, DROP)), "drop");
  });

  it("names the chain and the rule, and takes no rubbish", () => {
    const list = { nftables: [base("input"), rule("base", { counter: {} }, DROP)] };
    const ruleset = parseRuleset(JSON.stringify(list));
    assert.ok(ruleset);
    assert.equal(verdictOf(ruleset, "input", TUNNEL).rule, 'ip t base: [{"drop":null}]');
    assert.equal(parseRuleset("nonsense"), undefined);
    assert.equal(parseRuleset("{}"), undefined);
  });
});
