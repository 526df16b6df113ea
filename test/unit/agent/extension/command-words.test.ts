/** A command line becomes words, and a value never becomes more than a part of one. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { fillIn, readCommand } from "../../../../agent/extension/command-words.ts";

const NAMES = ["SUBNET", "PUBLIC_IP"];
const BRACED = `$\{PUBLIC_IP}`;

describe("an operator's command line", () => {
  it("is split on blanks, with variables in both spellings", () => {
    const read = readCommand("X", ` ip  route add $SUBNET via ${BRACED}/32 `, NAMES);
    assert.equal(read.kind, "words");
    assert.deepEqual(fillIn(read.words, { SUBNET: "10.1.0.0/24", PUBLIC_IP: "192.0.2.1" }), [
      ...["ip", "route", "add", "10.1.0.0/24", "via", "192.0.2.1/32"],
    ]);
  });

  it("may be missing", () => {
    assert.deepEqual(readCommand("X", "  ", NAMES), { kind: "none" });
  });

  for (const text of [
    "a | b",
    "a; b",
    "a && b",
    "echo $(id)",
    "echo `id`",
    "sh -c 'a b'",
    "a > f",
  ]) {
    it(`is refused when only a shell would understand it: ${text}`, () => {
      const read = readCommand("SubnetAddCommand", text, NAMES);
      assert.equal(read.kind, "invalid");
      assert.match(read.reason, /^SubnetAddCommand: .* shell only.*put it into a script/);
    });
  }

  it("is refused with a variable that it is not given, and says which there are", () => {
    const read = readCommand("SubnetAddCommand", "add $NETWORK", NAMES);
    assert.deepEqual(read, {
      kind: "invalid",
      reason: "SubnetAddCommand: there is no variable $NETWORK here; there are SUBNET, PUBLIC_IP",
    });
  });

  it("has as many words whatever the values are, and fills nothing in twice", () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (subnet, address) => {
        const read = readCommand("X", `run $SUBNET ${BRACED}`, NAMES);
        assert.equal(read.kind, "words");
        const filled = fillIn(read.words, { SUBNET: subnet, PUBLIC_IP: address });
        assert.deepEqual(filled, ["run", subnet, address]);
      }),
    );
  });
});
