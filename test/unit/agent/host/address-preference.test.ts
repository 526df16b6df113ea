/** Which of an interface's addresses peers are told. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { preferredAddress } from "../../../../agent/host/address-preference.ts";
import type { AddressState } from "../../../../agent/kernel/kernel.ts";
import { formatIp, parseIp } from "../../../../common/net/ip.ts";

function address(text: string, flags: Partial<AddressState> = {}): AddressState {
  const ip = parseIp(text);
  assert.ok(ip);
  return {
    device: "eth0",
    ip,
    prefix: 24,
    scope: "global",
    permanent: true,
    temporary: false,
    deprecated: false,
    ...flags,
  };
}

const best = (family: 4 | 6, ...addresses: AddressState[]): string | undefined => {
  const ip = preferredAddress(addresses, family);
  return ip && formatIp(ip);
};

describe("the preferred address", () => {
  it("is global before link-local", () => {
    assert.equal(best(4, address("169.254.1.1"), address("10.0.0.1")), "10.0.0.1");
    assert.equal(best(6, address("fe80::1"), address("fd00::1")), "fd00::1");
    assert.equal(best(6, address("fe80::1")), "fe80::1");
  });

  it("is permanent before dynamic, and global dynamic before link-local permanent", () => {
    const dynamic = { permanent: false };
    assert.equal(best(4, address("10.0.0.1", dynamic), address("10.0.0.2")), "10.0.0.2");
    assert.equal(best(6, address("fe80::1"), address("fd00::1", dynamic)), "fd00::1");
  });

  it("is lasting before temporary", () => {
    const temporary = { permanent: false, temporary: true };
    const lasting = { permanent: false };
    assert.equal(best(6, address("fd00::a", temporary), address("fd00::b", lasting)), "fd00::b");
  });

  it("is never deprecated, loopback, multicast or unspecified", () => {
    assert.equal(best(4, address("10.0.0.1", { deprecated: true })), undefined);
    assert.equal(
      best(4, address("127.0.0.1"), address("224.0.0.1"), address("0.0.0.0")),
      undefined,
    );
    assert.equal(best(6, address("::1"), address("ff02::1")), undefined);
  });

  it("is the kernel's first among equals, of the family asked for", () => {
    const both = [address("10.0.0.7"), address("fd00::7"), address("10.0.0.3")];
    assert.equal(best(4, ...both), "10.0.0.7");
    assert.equal(best(6, ...both), "fd00::7");
  });
});
