/** Counting what a run of ping lost. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { readPing } from "../../../../scripts/testbed/ping-report.ts";

const reply = (sequence: number, seconds: number): string =>
  `[${seconds.toFixed(6)}] 64 bytes from 10.244.2.2: icmp_seq=${sequence} ttl=62 time=0.089 ms`;

const summary = (sent: number, received: number): string =>
  `${sent} packets transmitted, ${received} received, 0% packet loss, time 29ms`;

describe("a ping report", () => {
  it("counts a run without loss", () => {
    const report = readPing([reply(1, 1), reply(2, 1.01), reply(3, 1.02), summary(3, 3)]);
    assert.deepEqual(report, {
      sent: 3,
      received: 3,
      lost: 0,
      longestGapMs: 10,
      lostSequences: [],
    });
  });

  it("names the packets that were never answered, and the longest silence", () => {
    const report = readPing([reply(1, 1), reply(2, 1.01), reply(5, 1.05), summary(5, 3)]);
    assert.equal(report.lost, 2);
    assert.deepEqual(report.lostSequences, [3, 4]);
    assert.equal(report.longestGapMs, 40);
  });

  it("does not count the one packet that was under way when ping was ended", () => {
    assert.equal(readPing([reply(1, 1), reply(2, 1.01), summary(3, 2)]).lost, 0);
  });

  it("counts a silence that lasts until the end", () => {
    assert.equal(readPing([reply(1, 1), summary(30, 1)]).lost, 28);
  });

  it("counts everything as lost when nothing was answered", () => {
    assert.equal(readPing([summary(7, 0)]).lost, 7);
  });

  it("does not take a late or doubled answer for a loss", () => {
    const lines = [reply(1, 1), reply(3, 1.02), reply(2, 1.03), `${reply(3, 1.03)} (DUP!)`];
    assert.equal(readPing([...lines, summary(3, 3)]).lost, 0);
  });

  it("goes on where the 16 bits of ping's counter begin again", () => {
    const lines = Array.from({ length: 70_000 }, (_, index) =>
      reply((index + 1) % 65_536, index / 100),
    );
    const report = readPing([...lines, summary(70_000, 70_000)]);
    assert.equal(report.lost, 0);
    assert.equal(report.received, 70_000);
  });

  it("ignores errors that ping prints between answers", () => {
    const lines = ["PING 10.244.2.2", "From 10.99.0.1 icmp_seq=2 Destination Host Unreachable"];
    assert.equal(readPing([reply(1, 1), ...lines, reply(3, 1.2), summary(3, 2)]).lost, 1);
  });
});
