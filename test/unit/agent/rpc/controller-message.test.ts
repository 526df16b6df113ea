/** What a controller may say, and what the agent refuses to have heard. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  type DecodedMessage,
  decodeControllerMessage,
  MAX_LEASES,
} from "../../../../agent/rpc/controller-message.ts";
import {
  ControllerMessage,
  type Lease,
  type Welcome,
} from "../../../../proto/gen/twill/v1/fabric.ts";

const LEASE: Lease = {
  key: "10.244.1.0-24",
  publicIp: "10.99.0.2",
  publicIpv6: "",
  backendType: "vxlan",
  backendData: "",
  backendV6Data: "",
  node: "node-1",
};

const WELCOME: Welcome = {
  instance: "cafe",
  controller: "c1:1",
  leader: "c2:1",
  features: ["future"],
  heartbeatMs: 5000,
  config: { revision: 3, json: "{}", transition: undefined },
  version: "1",
};

function decode(body: ControllerMessage["body"]): DecodedMessage {
  return decodeControllerMessage({ body });
}

const reason = (message: DecodedMessage): string =>
  message.kind === "malformed" ? message.reason : `accepted: ${message.kind}`;

describe("a controller's message", () => {
  it("becomes a domain value", () => {
    const welcome = decode({ $case: "welcome", value: WELCOME });
    assert.ok(welcome.kind === "welcome");
    assert.ok(welcome.features.has("future"));
    const registered = decode({
      $case: "registered",
      value: { request: 7, lease: LEASE, ttlSeconds: 86400, reused: true },
    });
    assert.ok(registered.kind === "registered");
    assert.equal(registered.lease.key, "10.244.1.0-24");
    const delta = decode({
      $case: "delta",
      value: { fromRevision: 4, toRevision: 6, upserts: [LEASE], removes: ["10.244.2.0-24"] },
    });
    assert.ok(delta.kind === "table" && delta.table.kind === "delta");
    assert.equal(delta.table.upserts[0]?.node, "node-1");
    assert.equal(delta.table.toRevision, 6);
  });

  it("of a kind this build does not know is unknown, not wrong", () => {
    // Field 15 (length-delimited), as a newer controller might send it.
    const future = ControllerMessage.decode(Uint8Array.of(0x7a, 0x02, 0x08, 0x01));
    assert.deepEqual(decodeControllerMessage(future), { kind: "unknown" });
  });

  it("with a lease that cannot be read is malformed as a whole, and names it", () => {
    const bad = { ...LEASE, key: "10.244.1.0" };
    const bodies: ControllerMessage["body"][] = [
      { $case: "snapshotPart", value: { upserts: [LEASE, bad] } },
      { $case: "delta", value: { fromRevision: 1, toRevision: 2, upserts: [bad], removes: [] } },
      { $case: "registered", value: { request: 1, lease: bad, ttlSeconds: 0, reused: false } },
    ];
    for (const body of bodies) assert.match(reason(decode(body)), /lease "10\.244\.1\.0"/);
    const empty = { request: 1, lease: undefined, ttlSeconds: 0, reused: false };
    assert.match(reason(decode({ $case: "registered", value: empty })), /holds no lease/);
  });

  it("that would make the agent spin, wait for ever or fill its memory is malformed", () => {
    for (const heartbeatMs of [0, 99, 600_001]) {
      const message = decode({ $case: "welcome", value: { ...WELCOME, heartbeatMs } });
      assert.match(reason(message), /heartbeat/);
    }
    assert.match(
      reason(decode({ $case: "welcome", value: { ...WELCOME, instance: "" } })),
      /instance/,
    );
    const begin = { revision: 1, leases: MAX_LEASES + 1 };
    assert.match(reason(decode({ $case: "snapshotBegin", value: begin })), /limit/);
  });

  it("never makes the decoder throw once the codec has read it", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        let message: ControllerMessage;
        try {
          message = ControllerMessage.decode(bytes);
        } catch {
          return;
        }
        decodeControllerMessage(message);
      }),
      { numRuns: 2000 },
    );
  });
});
