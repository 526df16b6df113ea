/** Who may read the console: operators by certificate, or this machine's own programs. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Identity } from "../../../../common/identity/identity.ts";
import type { Caller } from "../../../../controller/auth/authorize.ts";
import {
  consoleOrigin,
  consoleRefusal,
  isLoopback,
} from "../../../../controller/console/access.ts";

function as(identity: Identity): Caller {
  return { kind: "identity", identity, addresses: [] };
}
const LAB = { trustDomain: "lab", name: "x" } as const;

describe("access to the console", () => {
  it("is an operator's or a controller's with certificates, whatever the Host header says", () => {
    assert.equal(consoleRefusal(as({ role: "operator", admin: false, ...LAB }), "any"), undefined);
    assert.equal(consoleRefusal(as({ role: "controller", ...LAB }), "any"), undefined);
    assert.match(consoleRefusal(as({ role: "node", ...LAB }), "127.0.0.1") ?? "", /node x/);
    assert.equal(consoleRefusal({ kind: "none", reason: "no SAN" }, "127.0.0.1"), "no SAN");
  });

  it("is for names of this machine only without certificates: a rebound name is refused", () => {
    for (const host of ["localhost:7480", "127.0.0.1:7480", "127.8.9.1", "[::1]:7480"]) {
      assert.equal(consoleRefusal(undefined, host), undefined, host);
    }
    for (const host of [
      "evil.example:7480",
      "127.0.0.1.evil.example",
      "10.0.0.1:7480",
      "",
      "::1",
    ]) {
      assert.notEqual(consoleRefusal(undefined, host), undefined, host);
    }
  });

  it("knows loopback addresses of both families", () => {
    assert.deepEqual(["127.0.0.1", "127.255.0.1", "::1", "localhost"].map(isLoopback), [
      true,
      true,
      true,
      true,
    ]);
    assert.deepEqual(
      ["0.0.0.0", "::", "128.0.0.1", "10.0.0.1", "localhost.evil", ""].map(isLoopback),
      [false, false, false, false, false, false],
    );
  });

  it("names the origin by which others reach it", () => {
    const every = { host: "0.0.0.0", port: 7480 };
    assert.equal(consoleOrigin(every, "c1:7470", true), "https://c1:7480");
    assert.equal(consoleOrigin(every, "[fd00::1]:7470", true), "https://[fd00::1]:7480");
    const own = { host: "127.0.0.1", port: 7480 };
    assert.equal(consoleOrigin(own, "c1:7470", false), "http://127.0.0.1:7480");
    assert.equal(consoleOrigin({ host: "::1", port: 1 }, "c1:7470", false), "http://[::1]:1");
    assert.equal(consoleOrigin({ host: "", port: 0 }, "c1:7470", false), undefined);
  });
});
