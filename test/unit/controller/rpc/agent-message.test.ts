/** What may arrive on a stream, and what is named and refused. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  type AgentBody,
  decodeAgentMessage,
  MAX_MESSAGE_BYTES,
} from "../../../../controller/rpc/agent-message.ts";
import { AgentMessage, type Hello } from "../../../../proto/gen/twill/v1/fabric.ts";

const HELLO: Hello = {
  node: "node-1.example",
  version: "1.0",
  features: ["gzip"],
  instance: "abc/coreos.com/network",
  revision: 2 ** 45,
  digest: "0123456789abcdef",
  process: "5ca1ab1e",
};
const ACK = { instance: "abc", revision: 7, digest: "0123456789abcdef", failures: [], applyMs: 3 };
const FAILURE = { kind: "route", key: "10.5.1.0/24", code: "EINVAL", message: "no" };

function told(body: AgentBody): string {
  const inbound = decodeAgentMessage(AgentMessage.encode({ body }).finish());
  if (inbound.kind === "violation") return inbound.reason;
  if (inbound.kind === "message") assert.deepEqual(inbound.body, body);
  return inbound.kind;
}

const hello = (more: Partial<Hello>): string =>
  told({ $case: "hello", value: { ...HELLO, ...more } });

describe("messages of agents", () => {
  it("are taken when they are what the protocol says", () => {
    assert.equal(hello({}), "message");
    assert.equal(hello({ instance: "", revision: 0, digest: "" }), "message");
    assert.equal(told({ $case: "ack", value: { ...ACK, failures: [FAILURE] } }), "message");
    assert.equal(
      told({ $case: "report", value: { drift: [], state: "x", reason: "" } }),
      "message",
    );
    assert.equal(told({ $case: "release", value: { request: 1 } }), "message");
    assert.equal(told({ $case: "heartbeat", value: {} }), "message");
  });

  it("name the field that is wrong", () => {
    for (const node of ["", "a b", "-a", "../x", "ä", "n".repeat(254)]) {
      assert.match(hello({ node }), /^Hello\.node is ".*" *, which is not/, node);
    }
    assert.match(hello({ digest: "xyz" }), /^Hello\.digest is "xyz"/);
    assert.match(hello({ features: Array<string>(65).fill("f") }), /^Hello lists 65 items/);
    assert.match(hello({ version: "v".repeat(1025) }), /^Hello has a text of 1025 characters/);
    assert.match(told({ $case: "ack", value: { ...ACK, digest: "" } }), /^Ack\.digest is ""/);
    const failures = Array<typeof FAILURE>(1001).fill({ ...FAILURE, message: "" });
    assert.match(told({ $case: "ack", value: { ...ACK, failures } }), /^Ack lists 1001 items/);
    const reason = "r".repeat(2000);
    assert.match(told({ $case: "report", value: { drift: [], state: "", reason } }), /^Report has/);
  });

  it("are refused when they are too large, empty, or not messages at all", () => {
    const large = decodeAgentMessage(new Uint8Array(MAX_MESSAGE_BYTES + 1));
    assert.deepEqual(
      large.kind === "violation" && large.reason,
      "a message of 65537 bytes; the limit is 65536",
    );
    assert.equal(decodeAgentMessage(new Uint8Array()).kind, "violation");
    const broken = decodeAgentMessage(Uint8Array.of(0x0a, 0xff, 0x01));
    assert.match(broken.kind === "violation" ? broken.reason : "", /not an AgentMessage/);
  });

  it("that a newer agent may send are no fault", () => {
    // Field 99, length-delimited, empty.
    assert.equal(decodeAgentMessage(Uint8Array.of(0x9a, 0x06, 0x00)).kind, "unknown");
  });

  it("never make the decoder throw, whatever the bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        assert.ok(["message", "unknown", "violation"].includes(decodeAgentMessage(bytes).kind));
      }),
      { numRuns: 2000 },
    );
  });
});
