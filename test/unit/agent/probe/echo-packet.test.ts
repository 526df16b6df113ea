/** Echoes byte by byte. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { encodeEcho, readEchoReply } from "../../../../agent/probe/echo-packet.ts";

describe("an echo", () => {
  it("makes a packet of the size asked for, with ICMP's checksum right", () => {
    const bytes = encodeEcho(4, 0x1234, 7, 100);
    assert.equal(bytes.length, 80);
    let sum = 0;
    for (let at = 0; at < bytes.length; at += 2) sum += bytes.readUInt16BE(at);
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
    assert.equal(sum, 0xffff);
    assert.equal(encodeEcho(6, 1, 1, 1280).length, 1240);
  });

  it("knows its own reply and no other", () => {
    const header = Buffer.alloc(20);
    header[0] = 0x45;
    const echo = encodeEcho(4, 0x1234, 7, 64);
    const own = Buffer.concat([header, echo]);
    assert.equal(readEchoReply(4, own, 0x1234), undefined, "a request is no reply");
    own[20] = 0;
    assert.equal(readEchoReply(4, own, 0x1234), 7);
    assert.equal(readEchoReply(4, own, 0x1235), undefined);
    assert.equal(readEchoReply(4, own.subarray(0, 24), 0x1234), undefined);
    const six = encodeEcho(6, 5, 9, 64);
    six[0] = 129;
    assert.equal(readEchoReply(6, six, 5), 9);
  });
});
