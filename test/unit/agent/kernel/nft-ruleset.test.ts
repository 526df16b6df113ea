/** nft's JSON read, and the script that makes a table right from whatever is there. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseTable, tableScript } from "../../../../agent/kernel/nft-ruleset.ts";
import { type FamilyFirewall, planFirewall } from "../../../../agent/plan/firewall.ts";
import { network, networkConfig } from "../../../support/leases.ts";

function family(
  options = { masquerade: true, forwardRules: true, randomFully: true },
): FamilyFirewall {
  const own = { v4: network("10.244.1.0/24"), v6: undefined };
  const [v4] = planFirewall(networkConfig(), own, options).families;
  assert.ok(v4);
  return v4;
}

const NONE = family({ masquerade: false, forwardRules: false, randomFully: true });

function listed(chain: object, ...rules: object[]) {
  const table = parseTable(
    JSON.stringify({
      nftables: [
        { metainfo: { version: "1.0.6" } },
        { table: { family: "ip", name: "flannel-ipv4" } },
        { chain },
        ...rules.map((rule) => ({ rule: { chain: "forward", expr: [], ...rule } })),
      ],
    }),
  );
  assert.ok(table);
  return table;
}

const FORWARD = { name: "forward", type: "filter", hook: "forward", prio: 0, policy: "accept" };

describe("the script for a table", () => {
  it("makes table, chains and rules from nothing", () => {
    const lines = tableScript(family(), undefined, true).trimEnd().split("\n");
    assert.equal(lines[0], 'add table ip flannel-ipv4 { comment "rules for flannel-ipv4" ; }');
    assert.equal(
      lines.filter((line) => line.startsWith("add rule ip flannel-ipv4 postrtg")).length,
      6,
    );
    assert.equal(
      lines.filter((line) => line.startsWith("add rule ip flannel-ipv4 forward")).length,
      2,
    );
    assert.ok(lines.slice(2).every((line) => !line.startsWith("delete")));
    assert.equal(tableScript(NONE, undefined, true), "");
  });

  it("replaces our rules and a stranger's, and leaves another network's", () => {
    const table = listed(
      FORWARD,
      { handle: 4, comment: "twill 10.244.0.0/16" },
      { handle: 5 },
      { handle: 6, comment: "twill 10.12.0.0/16" },
    );
    const script = tableScript(family(), table, true);
    assert.match(script, /delete rule ip flannel-ipv4 forward handle 4\n/);
    assert.match(script, /delete rule ip flannel-ipv4 forward handle 5\n/);
    assert.doesNotMatch(script, /handle 6/);
    const emptied = tableScript(NONE, table, true);
    assert.doesNotMatch(emptied, /delete table/);
    assert.match(emptied, /delete rule ip flannel-ipv4 forward handle 5\n/);
  });

  it("deletes the whole table when nobody's rules are left in it", () => {
    const table = listed(FORWARD, { handle: 4, comment: "twill 10.244.0.0/16" });
    assert.equal(tableScript(NONE, table, true), "delete table ip flannel-ipv4\n");
  });

  it("makes a chain of another hook anew", () => {
    const script = tableScript(
      family(),
      listed({ ...FORWARD, hook: "input" }, { handle: 4 }),
      true,
    );
    assert.match(
      script,
      /flush chain ip flannel-ipv4 forward\ndelete chain ip flannel-ipv4 forward\nadd chain/,
    );
    assert.doesNotMatch(script, /handle/);
  });
});

it("takes nothing for a table that is not what nft prints", () => {
  for (const text of ["", "{}", "[]", '{"nftables":7}', "null"])
    assert.equal(parseTable(text), undefined);
  assert.equal(parseTable('{"nftables":[{"rule":{"chain":"gone"}},7,null]}')?.size, 0);
});
