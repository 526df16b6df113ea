/** What iptables-save says, judged; and the one input that puts it right. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  FORWARD_CHAIN,
  isForeign,
  isModern,
  judgeChain,
  jumpLine,
  MASQUERADE_CHAIN,
  parseChain,
  parseVersion,
  restoreInput,
  ruleLine,
} from "../../../../agent/kernel/iptables-rules.ts";
import { planFirewall } from "../../../../agent/plan/firewall.ts";
import { network, networkConfig } from "../../../support/leases.ts";

const OURS = [network("10.244.0.0/16")];
const ALL = { masquerade: true, forwardRules: true, randomFully: true };
const [V4] = planFirewall(
  networkConfig(),
  { v4: network("10.244.1.0/24"), v6: undefined },
  ALL,
).families;
const LINES = (V4?.masquerade ?? []).map((rule) => ruleLine(MASQUERADE_CHAIN, rule, true));
const JUMP = jumpLine(MASQUERADE_CHAIN);
const THEIRS = LINES.slice(1).map((line) => line.replaceAll("10.244.", "10.12."));

function save(...lines: readonly string[]): string {
  return [
    "*nat",
    ":POSTROUTING ACCEPT [3:99]",
    ":FLANNEL-POSTRTG - [0:0]",
    ...lines,
    "COMMIT",
    "",
  ].join("\n");
}

function judge(text: string, desired: readonly string[] = LINES) {
  return judgeChain(parseChain(text, MASQUERADE_CHAIN), MASQUERADE_CHAIN, desired, OURS);
}

function restore(text: string, desired: readonly string[] = LINES): readonly string[] {
  const state = parseChain(text, MASQUERADE_CHAIN);
  return restoreInput(state, MASQUERADE_CHAIN, desired, OURS).trimEnd().split("\n");
}

describe("a chain of ours", () => {
  it("is right with its rules in order and one jump, wherever that stands", () => {
    assert.equal(judge(save("-A POSTROUTING -j DOCKER", JUMP, ...LINES)).isRight, true);
    assert.equal(judge(save(JUMP, "-A POSTROUTING -j DOCKER", ...LINES)).isRight, true);
  });

  const wrong: [string, readonly string[], string][] = [
    ["no jump", LINES, LINES[0] ?? ""],
    ["two jumps", [JUMP, JUMP, ...LINES], JUMP],
    ["a missing rule", [JUMP, ...LINES.slice(0, 3), ...LINES.slice(4)], LINES[4] ?? ""],
    ["a missing last rule", [JUMP, ...LINES.slice(0, -1)], "absent"],
    ["a rule twice", [JUMP, ...LINES, LINES[5] ?? ""], LINES[5] ?? ""],
    ["rules out of order", [JUMP, ...LINES.slice(1), LINES[0] ?? ""], LINES[1] ?? ""],
    [
      "a rule of nobody",
      [JUMP, "-A FLANNEL-POSTRTG -j RETURN", ...LINES],
      "-A FLANNEL-POSTRTG -j RETURN",
    ],
  ];
  for (const [name, lines, found] of wrong) {
    it(`is wrong with ${name}, and says what was found`, () => {
      assert.deepEqual(judge(save(...lines)), { isRight: false, found });
    });
  }

  it("is wrong when it should not be there, and right when it is not", () => {
    assert.equal(judge(save(), []).isRight, false);
    assert.equal(judge("*nat\nCOMMIT\n", []).isRight, true);
    assert.equal(judge("*nat\nCOMMIT\n").isRight, false);
  });
});

describe("another network's rules in the chain", () => {
  it("are known by the comment and their addresses", () => {
    for (const line of THEIRS) assert.equal(isForeign(line, MASQUERADE_CHAIN, OURS), true, line);
    for (const line of LINES) assert.equal(isForeign(line, MASQUERADE_CHAIN, OURS), false, line);
    const bare = "-A FLANNEL-POSTRTG -s 10.12.0.0/16 -j RETURN";
    assert.equal(isForeign(bare, MASQUERADE_CHAIN, OURS), false, "without the comment");
    const host = '-A FLANNEL-FWD -s 10.244.7.7 -m comment --comment "flanneld forward" -j ACCEPT';
    assert.equal(isForeign(host, FORWARD_CHAIN, OURS), false);
  });

  it("may stand before or after ours, and are written again as they stood", () => {
    assert.equal(judge(save(JUMP, ...LINES, ...THEIRS)).isRight, true);
    assert.equal(judge(save(JUMP, LINES[0] ?? "", ...THEIRS, ...LINES.slice(1))).isRight, true);
    assert.deepEqual(restore(save(JUMP, ...THEIRS)), [
      "*nat",
      ":FLANNEL-POSTRTG - [0:0]",
      ...LINES,
      ...THEIRS,
      "COMMIT",
    ]);
  });

  it("keep the chain, its jump and the common mark rule when ours go", () => {
    const mark = LINES[0] ?? "";
    const left = save(JUMP, mark, ...THEIRS);
    assert.equal(judge(left, []).isRight, true);
    assert.deepEqual(restore(save(JUMP, ...LINES, ...THEIRS), []).slice(2, -1), [mark, ...THEIRS]);
  });
});

describe("the restore input", () => {
  it("writes chain, rules and jump in one transaction, and removes what is too much", () => {
    assert.deepEqual(restore("*nat\nCOMMIT\n"), [
      "*nat",
      ":FLANNEL-POSTRTG - [0:0]",
      ...LINES,
      JUMP,
      "COMMIT",
    ]);
    const twice = restore(save(JUMP, JUMP, ...LINES));
    assert.deepEqual(
      twice.filter((line) => line.startsWith("-D")),
      [JUMP.replace("-A", "-D")],
    );
    const odd = "-A POSTROUTING -s 1.2.3.4/32 -j FLANNEL-POSTRTG";
    assert.ok(restore(save(odd, ...LINES)).includes(odd.replace("-A", "-D")));
  });

  it("removes everything, the jumps first", () => {
    assert.deepEqual(restore(save(JUMP, ...LINES), []), [
      "*nat",
      ":FLANNEL-POSTRTG - [0:0]",
      JUMP.replace("-A", "-D"),
      "-X FLANNEL-POSTRTG",
      "COMMIT",
    ]);
  });
});

it("reads iptables' version", () => {
  assert.deepEqual(parseVersion("iptables v1.8.9 (nf_tables)"), [1, 8, 9]);
  assert.equal(parseVersion("something else"), undefined);
  assert.deepEqual(
    (
      [
        [1, 6, 1],
        [1, 6, 2],
        [1, 10, 0],
        [2, 0, 0],
      ] as const
    ).map((version) => isModern(version)),
    [false, true, true, true],
  );
});
