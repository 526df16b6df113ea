/** flannel's lease values (contract 1.2): written byte for byte, read with all its tolerance. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { inspect } from "node:util";
import fc from "fast-check";
import type { LeaseAttrs } from "../../../../common/lease/lease.ts";
import {
  compactJson,
  decodeLeaseValue,
  encodeLeaseValue,
  MAX_LEASE_VALUE_LENGTH,
} from "../../../../common/lease/lease-json.ts";
import { formatIp, type Ip, ip4, ip6, maxAddress, parseIp } from "../../../../common/net/ip.ts";

function ip(text: string): Ip {
  const parsed = parseIp(text);
  assert.ok(parsed, text);
  return parsed;
}

function attrs(more: Partial<LeaseAttrs>): LeaseAttrs {
  return {
    publicIp: ip("10.99.0.2"),
    publicIpv6: undefined,
    backendType: "",
    backendData: "",
    backendV6Data: "",
    ...more,
  };
}

function decoded(text: string): LeaseAttrs {
  const value = decodeLeaseValue(text);
  assert.equal(value.kind, "lease", inspect(value));
  return value.attrs;
}

function reason(text: string): string {
  const value = decodeLeaseValue(text);
  assert.equal(value.kind, "malformed", text);
  return value.reason;
}

describe("a lease value", () => {
  const exact: [what: string, attrs: LeaseAttrs, text: string][] = [
    [
      "vxlan",
      attrs({
        backendType: "vxlan",
        backendData: '{"VNI":1,"VtepMAC":"7e:3f:9b:d9:8f:b6"}',
      }),
      '{"PublicIP":"10.99.0.2","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"7e:3f:9b:d9:8f:b6"}}',
    ],
    [
      "vxlan in a dual stack",
      attrs({
        publicIpv6: ip("fd99::2"),
        backendType: "vxlan",
        backendData: '{"VNI":1,"VtepMAC":"ce:00:00:00:00:01"}',
        backendV6Data: '{"VNI":1,"VtepMAC":"2e:00:00:00:00:02"}',
      }),
      '{"PublicIP":"10.99.0.2","PublicIPv6":"fd99::2","BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"ce:00:00:00:00:01"},"BackendV6Data":{"VNI":1,"VtepMAC":"2e:00:00:00:00:02"}}',
    ],
    [
      "vxlan with IPv6 only",
      attrs({
        publicIp: undefined,
        publicIpv6: ip("fd99::2"),
        backendType: "vxlan",
        backendV6Data: '{"VNI":1,"VtepMAC":"ce:00:00:00:00:01"}',
      }),
      '{"PublicIP":"0.0.0.0","PublicIPv6":"fd99::2","BackendType":"vxlan","BackendV6Data":{"VNI":1,"VtepMAC":"ce:00:00:00:00:01"}}',
    ],
    [
      "host-gw",
      attrs({ backendType: "host-gw" }),
      '{"PublicIP":"10.99.0.2","PublicIPv6":null,"BackendType":"host-gw"}',
    ],
    ["udp and alloc", attrs({}), '{"PublicIP":"10.99.0.2","PublicIPv6":null}'],
    [
      "wireguard",
      attrs({ backendType: "wireguard", backendData: '{"PublicKey":"a+b/c=","Port":51820}' }),
      '{"PublicIP":"10.99.0.2","PublicIPv6":null,"BackendType":"wireguard","BackendData":{"PublicKey":"a+b/c=","Port":51820}}',
    ],
    [
      "extension, escaped as Go escapes",
      attrs({ backendType: "extension", backendData: JSON.stringify('a<b>&\u2028\u2029"\\\n') }),
      String.raw`{"PublicIP":"10.99.0.2","PublicIPv6":null,"BackendType":"extension","BackendData":"a\u003cb\u003e\u0026\u2028\u2029\"\\\n"}`,
    ],
  ];
  for (const [what, value, text] of exact) {
    it(`is flannel's, byte for byte: ${what}`, () => {
      assert.equal(encodeLeaseValue(value), text);
      assert.deepEqual(decoded(text), value);
    });
  }

  it("comes back as it was, whatever the backend wrote", () => {
    const data = fc.oneof(
      fc.constant(""),
      fc
        .json()
        .filter((text) => text !== "null")
        .map(compacted),
    );
    const any = fc.record(
      {
        publicIp: fc.option(fc.bigInt({ min: 1n, max: maxAddress(4) }).map(ip4), {
          nil: undefined,
        }),
        publicIpv6: fc.option(fc.bigInt({ min: 0n, max: maxAddress(6) }).map(ip6), {
          nil: undefined,
        }),
        backendType: fc.string({ unit: "grapheme" }),
        backendData: data,
        backendV6Data: data,
      },
      { noNullPrototype: true },
    );
    fc.assert(
      fc.property(any, (value) => {
        const text = encodeLeaseValue(value);
        assert.doesNotMatch(text, /[<>&\u2028\u2029]/);
        assert.deepEqual(decoded(text), value);
      }),
    );
  });

  it("is read with names in any case, unknown ones ignored", () => {
    const value = decoded('{"publicip":"10.99.0.2","BACKENDTYPE":"vxlan","Extra":[1]}');
    assert.deepEqual(value, attrs({ backendType: "vxlan" }));
  });

  it("may lack PublicIP, which is flannel's 0.0.0.0", () => {
    assert.equal(decoded("{}").publicIp, undefined);
    assert.equal(decoded('{"PublicIP":"0.0.0.0"}').publicIp, undefined);
  });

  it("may have an IPv4 literal as PublicIPv6, stored as mapped", () => {
    const { publicIpv6 } = decoded('{"PublicIPv6":"10.0.0.1"}');
    assert.equal(publicIpv6 && formatIp(publicIpv6), "::ffff:a00:1");
  });

  const refused: [text: string, expected: RegExp][] = [
    ["", /not JSON/],
    ["notjson", /not JSON/],
    ["[]", /not a JSON object/],
    ["null", /not a JSON object/],
    ['"x"', /not a JSON object/],
    ['{"PublicIP":null}', /PublicIP is not an IPv4 address/],
    ['{"PublicIP":""}', /PublicIP is not/],
    ['{"PublicIP":10}', /PublicIP is not/],
    ['{"PublicIP":"::1"}', /PublicIP is not/],
    ['{"PublicIP":"10.99.0.2","PublicIPv6":""}', /PublicIPv6 is not/],
    ['{"PublicIP":"10.99.0.2","PublicIPv6":7}', /PublicIPv6 is not/],
    ['{"PublicIP":"10.99.0.2","BackendType":5}', /BackendType is not a string/],
    [" ".repeat(MAX_LEASE_VALUE_LENGTH + 1), /longer than/],
    [`{"BackendData":${"[".repeat(15_000)}${"]".repeat(15_000)}}`, /nested too deeply/],
    [`{"BackendV6Data":${"[".repeat(15_000)}${"]".repeat(15_000)}}`, /nested too deeply/],
  ];
  for (const [text, expected] of refused) {
    it(`is refused as a whole: ${text.slice(0, 50)}`, () => assert.match(reason(text), expected));
  }

  it("may be any text: the answer is a value, never a throw", () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (text) => void decodeLeaseValue(text)));
  });
});

describe("backend data from outside", () => {
  it("is compacted, or refused when it is no JSON or too deep", () => {
    assert.equal(compactJson('{ "VNI" : 1,\n "VtepMAC": "x" }'), '{"VNI":1,"VtepMAC":"x"}');
    assert.equal(compactJson('{"VNI":'), undefined);
    assert.equal(compactJson(""), undefined);
    assert.equal(compactJson("[".repeat(15_000) + "]".repeat(15_000)), undefined);
  });
});

function compacted(text: string): string {
  return compactJson(text) ?? "";
}
