/** WireGuard keys: exactly 32 bytes, in exactly one spelling. */
import assert from "node:assert/strict";
import { it } from "node:test";
import fc from "fast-check";
import {
  isZeroKey,
  NO_KEY_BYTES,
  parseWireguardKey,
  wireguardKeyBytes,
  wireguardKeyFromBytes,
} from "../../../../common/net/wireguard-key.ts";

it("reads what it writes, for every key", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (bytes) => {
      const key = wireguardKeyFromBytes(bytes);
      assert.ok(key);
      assert.equal(parseWireguardKey(key), key);
      assert.deepEqual(new Uint8Array(wireguardKeyBytes(key)), bytes);
    }),
  );
});

it("takes nothing that is not the one spelling of 32 bytes", () => {
  const good = `${"A".repeat(42)}E=`;
  assert.equal(parseWireguardKey(good), good);
  for (const bad of [
    "",
    "AAAA",
    `${"A".repeat(43)}E=`,
    `${"A".repeat(42)}B=`,
    ` ${good}`,
    `${good}\n`,
  ]) {
    assert.equal(parseWireguardKey(bad), undefined, JSON.stringify(bad));
  }
  assert.equal(wireguardKeyFromBytes(new Uint8Array(31)), undefined);
});

it("knows the key of zeros, which means none", () => {
  const none = wireguardKeyFromBytes(NO_KEY_BYTES);
  assert.ok(none !== undefined && isZeroKey(none));
  const some = wireguardKeyFromBytes(new Uint8Array(32).fill(1));
  assert.ok(some !== undefined && !isZeroKey(some));
});
