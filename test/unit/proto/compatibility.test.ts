/**
 * Upgrades in any order need a protocol that only grows: every field of a released version keeps
 * number and type, bytes that its programs wrote mean the same to this build, and what a
 * newer build adds is passed over. After a release: UPDATE_GOLDEN=1 with the next VERSION.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { BinaryWriter } from "@bufbuild/protobuf/wire";
import type { AnyDefinition } from "@grpc/proto-loader";
import { isJsonObject } from "../../../common/config/json-fields.ts";
import { AgentMessage, ControllerMessage } from "../../../proto/gen/twill/v1/fabric.ts";
import { loadPackageDefinition } from "../../../proto/load.ts";
import { AGENT_BODIES, CONTROLLER_BODIES } from "../../support/every-message.ts";
import { assertGolden, golden } from "../../support/golden.ts";

const VERSION = "0.1";
/** That no build will ever use. */
const UNKNOWN_FIELD = 2000;

const definition = await loadPackageDefinition();

/** "Hello.node = 1 TYPE_STRING LABEL_OPTIONAL", for every field of every message. */
function fieldLines(): readonly string[] {
  return Object.entries(definition)
    .flatMap(([name, entry]) => fieldsOf(name, entry))
    .toSorted();
}

function fieldsOf(name: string, entry: AnyDefinition): readonly string[] {
  if (!("format" in entry) || !isJsonObject(entry.type)) return [];
  const fields: unknown = entry.type["field"];
  return (Array.isArray(fields) ? fields : []).map((field: unknown) => {
    assert.ok(isJsonObject(field));
    const { number, type, label, typeName } = field;
    const words = [number, type, label, typeName].map(String).join(" ");
    return `${name}.${String(field["name"])} = ${words}`.trimEnd();
  });
}

/** One line per message: who says it, its bytes. */
const FRAMES = [
  ...AGENT_BODIES.map((body) => ({
    from: "agent",
    bytes: AgentMessage.encode({ body }).finish(),
    body,
  })),
  ...CONTROLLER_BODIES.map((body) => ({
    ...{ from: "controller", bytes: ControllerMessage.encode({ body }).finish(), body },
  })),
];

const codecOf = (from: string): typeof AgentMessage | typeof ControllerMessage =>
  from === "agent" ? AgentMessage : ControllerMessage;

describe(`the protocol since ${VERSION}`, () => {
  it("has every field it had, with the same number and type", () => {
    if (process.env["UPDATE_GOLDEN"] === "1") {
      assertGolden(`protocol/${VERSION}-fields.txt`, `${fieldLines().join("\n")}\n`);
    }
    const now = new Set(fieldLines());
    const before = golden(`protocol/${VERSION}-fields.txt`).trimEnd().split("\n");
    assert.deepEqual(
      before.filter((line) => !now.has(line)),
      [],
    );
    const numbers = [...now].map((line) => line.replace(/\.\w+ = (\d+) .*/, ".$1"));
    assert.equal(new Set(numbers).size, numbers.length, "no number is used twice");
  });

  it("reads what its programs wrote as what they meant", () => {
    const lines = FRAMES.map(
      ({ from, bytes }) => `${from} ${Buffer.from(bytes).toString("hex")}\n`,
    );
    if (process.env["UPDATE_GOLDEN"] === "1") {
      assertGolden(`protocol/${VERSION}-frames.txt`, lines.join(""));
    }
    const recorded = golden(`protocol/${VERSION}-frames.txt`).trimEnd().split("\n");
    assert.ok(recorded.length > 0);
    for (const [index, line] of recorded.entries()) {
      const [from = "", hex = ""] = line.split(" ");
      const decoded = codecOf(from).decode(Buffer.from(hex, "hex"));
      assert.deepEqual(decoded.body, FRAMES[index]?.body);
    }
  });

  it("passes over fields that only a newer build knows", () => {
    for (const { from, bytes, body } of FRAMES) {
      const tag = (UNKNOWN_FIELD << 3) | 2;
      const newer = new BinaryWriter().raw(bytes).uint32(tag).string("something new").finish();
      assert.deepEqual(codecOf(from).decode(newer).body, body);
    }
  });
});
