/** MACs: every spelling Go takes, one spelling written, and only unicast ones for a VTEP. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  isUnicastMac,
  localMac,
  macFromBytes,
  macToBytes,
  parseMac,
} from "../../../../common/net/mac.ts";

const six = fc.uint8Array({ minLength: 6, maxLength: 6 });

describe("a MAC", () => {
  for (const text of [
    "7e:3f:9b:d9:8f:b6",
    "7E:3F:9B:D9:8F:B6",
    "7e-3f-9b-d9-8f-b6",
    "7e3f.9bd9.8fb6",
  ]) {
    it(`is read in any of Go's forms: ${text}`, () => {
      assert.equal(parseMac(text), "7e:3f:9b:d9:8f:b6");
    });
  }

  it("may have zeros everywhere in each form", () => {
    for (const text of ["00:00:00:00:00:00", "00-00-00-00-00-00", "0000.0000.0000"]) {
      assert.equal(parseMac(text), "00:00:00:00:00:00");
    }
  });

  for (const text of [
    "",
    "7e:3f:9b:d9:8f",
    "7e:3f:9b:d9:8f:b6:00",
    "7e:3f:9b:d9:8f-b6",
    "7e:3f:9b:d9:8f:bg",
    "7e3f9bd98fb6",
    "7e3f:9bd9:8fb6",
    " 7e:3f:9b:d9:8f:b6",
    "7e:3f:9b:d9:8f:b6\n",
    "02:00:5e:10:00:00:00:01",
  ]) {
    it(`is refused in any other: ${JSON.stringify(text)}`, () => {
      assert.equal(parseMac(text), undefined);
    });
  }

  it("survives bytes and text", () => {
    fc.assert(
      fc.property(six, (bytes) => {
        const mac = macFromBytes(bytes);
        assert.deepEqual(macToBytes(mac), bytes);
        assert.equal(parseMac(mac), mac);
      }),
    );
  });

  it("has six bytes", () => {
    assert.throws(() => macFromBytes(new Uint8Array(8)), RangeError);
    assert.throws(() => localMac(new Uint8Array(5)), RangeError);
    assert.equal(localMac(new Uint8Array(8)), "02:00:00:00:00:00");
  });

  it("made of random bytes is local, unicast, and random in all other bits", () => {
    fc.assert(
      fc.property(six, (bytes) => {
        const made = macToBytes(localMac(bytes));
        assert.equal((made[0] ?? 0) & 3, 2);
        assert.equal((made[0] ?? 0) >> 2, (bytes[0] ?? 0) >> 2);
        assert.deepEqual(made.subarray(1), bytes.subarray(1));
        assert.equal(isUnicastMac(macFromBytes(made)), true);
      }),
    );
  });

  it("of a VTEP is neither zero nor a group's", () => {
    const verdicts = [
      "00:00:00:00:00:00",
      "01:00:5e:00:00:01",
      "ff:ff:ff:ff:ff:ff",
      "00:00:00:00:00:01",
    ]
      .map(parseMac)
      .map((mac) => mac !== undefined && isUnicastMac(mac));
    assert.deepEqual(verdicts, [false, false, false, true]);
  });
});
