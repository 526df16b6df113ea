/**
 * Two codecs, one protocol: what proto/gen encodes is, byte for byte, what the .proto files
 * say, and each reads the other's bytes as the same fields.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { AnyDefinition, MessageTypeDefinition } from "@grpc/proto-loader";
import fc from "fast-check";
import { isJsonObject, type JsonObject } from "../../../common/config/json-fields.ts";
import * as change from "../../../proto/gen/twill/v1/change.ts";
import * as enrolment from "../../../proto/gen/twill/v1/enrolment.ts";
import * as fabric from "../../../proto/gen/twill/v1/fabric.ts";
import * as history from "../../../proto/gen/twill/v1/history.ts";
import * as inspect from "../../../proto/gen/twill/v1/inspect.ts";
import * as node from "../../../proto/gen/twill/v1/node.ts";
import * as operator from "../../../proto/gen/twill/v1/operator.ts";
import { loadPackageDefinition } from "../../../proto/load.ts";

const definition = await loadPackageDefinition();
const messages = Object.entries(definition).flatMap(([name, entry]) =>
  isMessage(entry) ? [{ name, type: entry }] : [],
);

interface StaticCodec {
  readonly encode: (message: unknown) => { finish(): Uint8Array };
  readonly decode: (bytes: Uint8Array) => unknown;
}

describe("the package definition", () => {
  it("has the services that clients look for by reflection", () => {
    const services = Object.entries(definition)
      .filter(([, entry]) => !("format" in entry))
      .map(([name]) => name);
    assert.deepEqual(services.sort(), [
      "twill.v1.Allocator",
      "twill.v1.Change",
      "twill.v1.Enrolment",
      "twill.v1.Fabric",
      "twill.v1.History",
      "twill.v1.Inspect",
      "twill.v1.LeaderChange",
      "twill.v1.Membership",
      "twill.v1.Operator",
    ]);
  });

  it("knows a static codec for every message", () => {
    assert.ok(messages.length > 20);
    for (const { name } of messages) assert.ok(codecOf(name), name);
  });

  for (const { name, type } of messages) {
    it(`and the static codec speak one language: ${name}`, () => {
      const codec = codecOf(name);
      assert.ok(codec);
      fc.assert(
        fc.property(messageOf(name, 2), (message) => {
          const bytes = type.serialize(message);
          const decoded = codec.decode(bytes);
          assert.deepEqual(withoutDefaults(flatten(decoded)), withoutDefaults(message));
          assert.deepEqual(Buffer.from(codec.encode(decoded).finish()), bytes);
          assert.deepEqual(withoutDefaults(type.deserialize(bytes)), withoutDefaults(message));
        }),
        { numRuns: 50 },
      );
    });
  }
});

function isMessage(entry: AnyDefinition): entry is MessageTypeDefinition<object, object> {
  return "format" in entry && entry.format === "Protocol Buffer 3 DescriptorProto";
}

function codecOf(name: string): StaticCodec | undefined {
  const short = name.replace(/^twill\.v1\./, "");
  const found: unknown = Object.entries({
    ...{ ...change, ...enrolment, ...fabric, ...history, ...inspect },
    ...{ ...node, ...operator },
  }).find(([n]) => n === short)?.[1];
  return isCodec(found) ? found : undefined;
}

function isCodec(value: unknown): value is StaticCodec {
  return isJsonObject(value) && "encode" in value && "decode" in value;
}

interface FieldDescriptor {
  readonly name: string;
  readonly type: string;
  readonly isRepeated: boolean;
  readonly typeName: string;
  readonly oneof: number | undefined;
}

function fieldsOf(name: string): FieldDescriptor[] {
  const entry = messages.find((message) => message.name === name);
  assert.ok(entry && isJsonObject(entry.type.type), name);
  const fields = entry.type.type["field"];
  assert.ok(Array.isArray(fields));
  return fields.map((field: unknown) => {
    assert.ok(isJsonObject(field));
    const oneof = field["oneofIndex"];
    return {
      name: camelCase(String(field["name"])),
      type: String(field["type"]),
      isRepeated: field["label"] === "LABEL_REPEATED",
      typeName: `twill.v1.${String(field["typeName"]).replace(/^\.?(twill\.v1\.)?/, "")}`,
      oneof: typeof oneof === "number" ? oneof : undefined,
    };
  });
}

/** Any message of this type, defaults left out (proto3 does not encode them). */
function messageOf(name: string, depth: number): fc.Arbitrary<JsonObject> {
  const fields = fieldsOf(name);
  const plain = fields.filter(({ oneof }) => oneof === undefined);
  const either = fields.filter(({ oneof }) => oneof !== undefined);
  const record = fc.record(
    Object.fromEntries(plain.map((field) => [field.name, anyValue(field, depth)])),
    { requiredKeys: [] },
  );
  if (either.length === 0) return record;
  const one = fc.oneof(...either.map((f) => fc.record({ [f.name]: anyValue(f, depth) })));
  return fc.tuple(record, one).map(([a, b]) => ({ ...a, ...b }));
}

function anyValue(field: FieldDescriptor, depth: number): fc.Arbitrary<unknown> {
  const one = scalarOf(field) ?? messageOf(field.typeName, depth - 1);
  if (!field.isRepeated) return one;
  return depth > 0 ? fc.array(one, { minLength: 1, maxLength: 3 }) : fc.constant([]);
}

function scalarOf({ type }: FieldDescriptor): fc.Arbitrary<unknown> | undefined {
  switch (type) {
    case "TYPE_STRING":
      return fc.string({ minLength: 1, unit: "grapheme" });
    case "TYPE_UINT32":
      return fc.integer({ min: 1, max: 2 ** 32 - 1 });
    case "TYPE_UINT64":
      return fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
    case "TYPE_BOOL":
      return fc.constant(true);
    case "TYPE_MESSAGE":
      return undefined;
    default:
      throw new Error(`teach this test about ${type}`);
  }
}

/** `{body: {$case: "hello", value}}` as proto-loader has it: `{hello: value}`. */
function flatten(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(flatten);
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) =>
      isJsonObject(inner) && typeof inner["$case"] === "string"
        ? [inner["$case"], flatten(inner["value"])]
        : [name, flatten(inner)],
    ),
  );
}

function withoutDefaults(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutDefaults);
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, inner]) => !isDefault(inner))
      .map(([name, inner]) => [name, withoutDefaults(inner)]),
  );
}

function isDefault(value: unknown): boolean {
  if (Array.isArray(value)) return value.length === 0;
  return value === undefined || value === "" || value === 0 || value === false;
}

function camelCase(name: string): string {
  return name.replaceAll(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}
