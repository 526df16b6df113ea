/**
 * The stream's two directions, as bytes off a socket and as fields of every value: an agent and a
 * controller refuse, ignore or take what comes, and never throw.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { PeerTable } from "../../../agent/peers/peer-table.ts";
import { decodeControllerMessage } from "../../../agent/rpc/controller-message.ts";
import { decodeAgentMessage } from "../../../controller/rpc/agent-message.ts";
import { decodeRegister } from "../../../controller/rpc/registration-wire.ts";
import { AgentMessage, ControllerMessage } from "../../../proto/gen/twill/v1/fabric.ts";
import { AGENT_BODIES, CONTROLLER_BODIES } from "../../support/every-message.ts";
import { nearlyBytes } from "../../support/fuzz.ts";

const FROM_AGENTS = AGENT_BODIES.map((body) => AgentMessage.encode({ body }).finish());

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
