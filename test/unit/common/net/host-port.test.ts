/** "host:port" in all its written forms. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { formatHostPort, parseHostPort, parsePort } from "../../../../common/net/host-port.ts";

describe("host:port", () => {
  for (const text of ["10.0.0.1:80", "etcd-1.example:2379", "[::1]:65535", ":0", "[fd00::2]:1"]) {
    it(`survives parsing and formatting: ${text}`, () => {
      const parsed = parseHostPort(text);
      assert.ok(parsed);
      assert.equal(formatHostPort(parsed), text);
    });
  }

  for (const text of [
    "",
    "80",
    "host",
    "host:",
    "host:65536",
    "host:-1",
    "host:08",
    "::1:80",
    "[::1]",
    "[nonsense]:80",
    "::1]:80",
    "[::1:80",
    "a b:80",
    "http://host:80",
    "host:80:90",
  ]) {
    it(`is refused when malformed: ${JSON.stringify(text)}`, () => {
      assert.equal(parseHostPort(text), undefined);
    });
  }

  it("takes the whole range of ports", () => {
    assert.equal(parsePort("0"), 0);
    assert.equal(parsePort("65535"), 65_535);
    assert.equal(parsePort("65536"), undefined);
    assert.equal(parsePort("1e3"), undefined);
  });
});
