/** The cached table is believed only when it is whole. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type CachedTable, parseTable, renderTable } from "../../../../agent/host/table-cache.ts";
import type { Lease } from "../../../../common/lease/lease.ts";
import { formatSubnetKey } from "../../../../common/lease/subnet-key.ts";
import { cidr } from "../../../../common/net/cidr.ts";
import { ip4 } from "../../../../common/net/ip.ts";

function lease(index: number): Lease {
  const subnets = { v4: cidr(ip4(BigInt(0x0af40000 + index * 256)), 24), v6: undefined };
  const attrs = {
    publicIp: ip4(BigInt(0x0a630000 + index)),
    publicIpv6: undefined,
    backendType: "vxlan",
    backendData: '{"VNI":1,"VtepMAC":"7e:3f:9b:d9:8f:b6"}',
    backendV6Data: "",
  };
  return { key: formatSubnetKey(subnets), subnets, attrs, node: `node-${index}` };
}

const TABLE: CachedTable = {
  node: "node-1",
  instance: "cafe/coreos.com/network",
  revision: 42,
  configRevision: 7,
  configJson: '{"Network":"10.244.0.0/16"}',
  ownKey: "10.244.1.0-24",
  leases: [lease(1), lease(2), lease(3)],
};

const reason = (text: string): string => {
  const parsed = parseTable(text);
  return parsed.kind === "corrupt" ? parsed.reason : "believed";
};

describe("the cached table", () => {
  it("comes back as it was written", () => {
    assert.deepEqual(parseTable(renderTable(TABLE)), { kind: "table", table: TABLE });
  });

  it("is refused when any one character of a lease was changed", () => {
    const text = renderTable(TABLE);
    const start = text.indexOf("\n") + 1;
    const place = fc.integer({ min: start, max: text.length - 2 });
    fc.assert(
      fc.property(place, fc.constantFrom("9", "x", "\n", '"'), (at, char) => {
        fc.pre(text[at] !== char);
        assert.notEqual(reason(text.slice(0, at) + char + text.slice(at + 1)), "believed");
      }),
    );
  });

  it("is refused when cut short, foreign, of another version or without a field", () => {
    const text = renderTable(TABLE);
    const lines = text.trimEnd().split("\n");
    assert.match(reason(lines.slice(0, -1).join("\n")), /digest/);
    assert.match(reason(""), /not a cached table/);
    assert.match(reason('{"format":"other"}'), /not a cached table/);
    assert.match(reason(text.replace('"version":1', '"version":2')), /version 2/);
    assert.match(reason(text.replace('"instance"', '"x"')), /lacks instance/);
    assert.match(reason(text.replace('"revision":42', '"revision":-1')), /lacks revision/);
    assert.match(reason(text.replace("10.244.2.0-24", "10.244.2.0")), /line 3 is not a lease/);
  });

  it("may hold no lease at all", () => {
    assert.equal(parseTable(renderTable({ ...TABLE, leases: [] })).kind, "table");
  });

  it("never throws, whatever the text is", () => {
    fc.assert(fc.property(fc.string(), (text) => void parseTable(text)));
    fc.assert(fc.property(fc.json(), (text) => void parseTable(text)));
  });
});
