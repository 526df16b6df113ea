/** The ten bytes before every packet on the TUN, byte by byte. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  readVirtioHeader,
  writePlainVirtioHeader,
  writeSuperVirtioHeader,
} from "../../../../../agent/tunnel/packet/virtio-header.ts";

describe("the virtio header", () => {
  it("of a TCP super-segment says what to cut and where the checksum is", () => {
    const view = new DataView(new ArrayBuffer(10));
    const is = { kind: "tcp4", headerLength: 52, ipHeaderLength: 20, segmentSize: 1420 } as const;
    writeSuperVirtioHeader(view, 0, is);
    assert.equal(Buffer.from(view.buffer).toString("hex"), "010134008c0514001000");
    assert.deepEqual(readVirtioHeader(view, 0), {
      kind: "tcp4",
      needsChecksum: true,
      segmentSize: 1420,
      checksumStart: 20,
      checksumOffset: 16,
    });
  });

  it("of a UDP super-segment differs in kind and checksum field", () => {
    const view = new DataView(new ArrayBuffer(10));
    const is = { kind: "udp4", headerLength: 28, ipHeaderLength: 20, segmentSize: 64 } as const;
    writeSuperVirtioHeader(view, 0, is);
    assert.equal(Buffer.from(view.buffer).toString("hex"), "01051c00400014000600");
  });

  it("of a plain packet is all zeros", () => {
    const view = new DataView(new Uint8Array(10).fill(255).buffer);
    writePlainVirtioHeader(view, 0);
    assert.equal(Buffer.from(view.buffer).toString("hex"), "00000000000000000000");
    assert.equal(readVirtioHeader(view, 0).kind, "none");
  });

  it("with the ECN bit is still TCP, and of another kind is none of ours", () => {
    const kinds = [0x81, 5, 3, 4].map((type) => {
      const view = new DataView(new ArrayBuffer(10));
      view.setUint8(1, type);
      return readVirtioHeader(view, 0).kind;
    });
    assert.deepEqual(kinds, ["tcp4", "udp4", "other", "other"]);
  });
});
