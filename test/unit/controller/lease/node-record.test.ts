/** The node record on disk, and which names a node may have. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { decodeNodeRecord, encodeNodeRecord } from "../../../../controller/lease/node-record.ts";
import { nodeRecord } from "../../../support/lease-texts.ts";

describe("the node record", () => {
  it("is JSON that a person can read", () => {
    assert.equal(
      encodeNodeRecord(nodeRecord("a", "10.5.4.0-24", "10.99.0.2")),
      '{"subnet":"10.5.4.0-24","publicIP":"10.99.0.2","backendType":"vxlan",' +
        '"backendData":{"VNI":1,"VtepMAC":"aa:bb:cc:00:00:01"},' +
        '"firstSeen":"2024-01-01T00:00:00.000Z","lastRegistered":"2024-01-01T00:00:00.000Z"}',
    );
  });

  it("reads back what it wrote", () => {
    for (const released of ["", "2024-01-02T00:00:00.000Z"]) {
      const record = nodeRecord("a", "10.5.4.0-24", "10.99.0.2", { released });
      const decoded = decodeNodeRecord("a", encodeNodeRecord(record));
      assert.deepEqual(decoded, { kind: "record", record });
    }
  });

  it("is malformed when it is not JSON, not an object, or under no node's name", () => {
    for (const text of ["", "[]", "7", "null", '{"publicIP":7}']) {
      assert.equal(decodeNodeRecord("a", text).kind, "malformed", text);
    }
    assert.equal(decodeNodeRecord("a b", "{}").kind, "malformed");
  });

  it("takes fields of a wrong type as absent", () => {
    const decoded = decodeNodeRecord("a", '{"subnet":7,"firstSeen":{}}');
    assert.ok(decoded.kind === "record");
    assert.equal(decoded.record.subnet, "");
    assert.equal(decoded.record.firstSeen, "");
  });
});
