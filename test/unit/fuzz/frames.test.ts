/**
 * The stream's two directions, as bytes off a socket and as fields of every value: an agent and a
 * controller refuse, ignore or take what comes, and never throw.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { PeerTable } from "../../../agent/peers/peer-table.ts";
import { decodeControllerMessage } from "../../../agent/rpc/controller-message.ts";
import { leaseToWire } from "../../../common/lease/lease-wire.ts";
import { decodeAgentMessage } from "../../../controller/rpc/agent-message.ts";
import { decodeRegister } from "../../../controller/rpc/registration-wire.ts";
import { AgentMessage, ControllerMessage } from "../../../proto/gen/twill/v1/fabric.ts";
import { nearlyBytes } from "../../support/fuzz.ts";
import { vxlanLease } from "../../support/leases.ts";

const DIGEST = "0123456789abcdef";
const LEASES = [1, 2, 3].map((n) => leaseToWire(vxlanLease(n)));

const FAILURE = { kind: "route", key: "10.244.1.0/24", code: "ENODEV", message: "no device" };
const DRIFT = { kind: "route", key: "10.244.1.0/24", expected: "x", found: "", repairedMs: 3 };
const WORDS = { instance: "i", digest: DIGEST, revision: 7 };
const REGISTER = {
  ...{ request: 1, publicIp: "10.99.0.1", publicIpv6: "fd99::1", backendType: "vxlan" },
  ...{ backendData: '{"VNI":1}', backendV6Data: "", previousSubnet: "10.244.1.0-24" },
};

const AGENT_BODIES: readonly AgentMessage["body"][] = [
  { $case: "hello", value: { ...WORDS, node: "a", version: "1", features: ["x"], process: "p" } },
  { $case: "register", value: REGISTER },
  { $case: "ack", value: { ...WORDS, failures: [FAILURE], applyMs: 3 } },
  { $case: "report", value: { drift: [DRIFT], state: "ready", reason: "" } },
];
const FROM_AGENTS = AGENT_BODIES.map((body) => AgentMessage.encode({ body }).finish());

const CONTROLLER_BODIES: readonly ControllerMessage["body"][] = [
  {
    $case: "welcome",
    value: {
      ...{ instance: "i", controller: "c", leader: "c", features: ["x"], heartbeatMs: 10_000 },
      ...{ config: { revision: 2, json: "{}" }, version: "1" },
    },
  },
  { $case: "snapshotBegin", value: { revision: 5, leases: 3 } },
  { $case: "snapshotPart", value: { upserts: LEASES } },
  { $case: "snapshotEnd", value: { revision: 5, digest: DIGEST } },
  {
    $case: "delta",
    value: { fromRevision: 5, toRevision: 6, upserts: LEASES, removes: ["10.244.1.0-24"] },
  },
  { $case: "bookmark", value: { revision: 6, digest: DIGEST, leader: "c" } },
];
const FROM_CONTROLLERS = CONTROLLER_BODIES.map((body) =>
  ControllerMessage.encode({ body }).finish(),
);

describe("bytes from an agent", () => {
  it("are a message, one that is not known, or a violation", () => {
    fc.assert(
      fc.property(nearlyBytes(FROM_AGENTS), (bytes) => {
        const inbound = decodeAgentMessage(bytes);
        assert.match(inbound.kind, /^(message|unknown|violation)$/);
        if (inbound.kind !== "message" || inbound.body.$case !== "register") return;
        assert.match(decodeRegister("a", inbound.body.value).kind, /^(request|malformed)$/);
      }),
      { numRuns: 3000 },
    );
  });
});

describe("bytes from a controller", () => {
  it("change an agent's table in order, or are refused", () => {
    const messages = fc.array(nearlyBytes(FROM_CONTROLLERS), { maxLength: 12 });
    fc.assert(
      fc.property(messages, (frames) => {
        const table = new PeerTable();
        table.welcome("i");
        for (const frame of frames) take(table, frame);
      }),
      { numRuns: 1000 },
    );
  });
});

/** As the stream does it: the codec first, whose throw ends the stream. */
function take(table: PeerTable, frame: Uint8Array): void {
  let wire: ControllerMessage;
  try {
    wire = ControllerMessage.decode(frame);
  } catch {
    return;
  }
  const message = decodeControllerMessage(wire);
  if (message.kind !== "table") return;
  const outcome = table.apply(message.table);
  assert.match(outcome.kind, /^(held|changed|out-of-step)$/);
}
