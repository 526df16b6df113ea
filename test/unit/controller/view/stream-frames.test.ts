/** Bytes made by concatenation are what the generated decoder expects. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { formatDigest } from "../../../../common/lease/lease-digest.ts";
import { leaseToWire } from "../../../../common/lease/lease-wire.ts";
import { LeaseTable } from "../../../../controller/view/lease-table.ts";
import {
  encodeDelta,
  encodeSnapshot,
  PART_BYTES,
} from "../../../../controller/view/stream-frames.ts";
import { ControllerMessage } from "../../../../proto/gen/twill/v1/fabric.ts";
import { leaseValue } from "../../../support/lease-texts.ts";
import { StoreHistory } from "../../../support/store-history.ts";

function tableOf(count: number): LeaseTable {
  const history = new StoreHistory(1000);
  for (let n = 0; n < count; n += 1) {
    history.put(`subnets/10.${n >> 8}.${n & 255}.0-24`, leaseValue(`10.99.${n >> 8}.${n & 255}`));
  }
  const table = new LeaseTable();
  table.replace(history.listing());
  return table;
}

describe("frames made from encoded leases", () => {
  it("decode to the snapshot they were made from, in parts of bounded size", () => {
    const table = tableOf(2000);
    const at = { revision: table.revision, sequence: 5 };
    const { frames, revision, sequence } = encodeSnapshot(table, at);
    assert.deepEqual({ revision, sequence }, at);
    const bodies = frames.map((frame) => ControllerMessage.decode(frame).body);
    assert.deepEqual(bodies.at(0), { $case: "snapshotBegin", value: { revision, leases: 2000 } });
    assert.deepEqual(bodies.at(-1), {
      $case: "snapshotEnd",
      value: { revision, digest: formatDigest(table.digest) },
    });
    const parts = bodies.slice(1, -1);
    const leases = parts.flatMap((body) =>
      body?.$case === "snapshotPart" ? body.value.upserts : [],
    );
    assert.deepEqual(
      leases,
      [...table.rows.values()].map((row) => leaseToWire(row.lease)),
    );
    assert.ok(frames.every((frame) => frame.length <= PART_BYTES + 16));
    assert.ok(parts.length <= Math.ceil((2000 * 110) / PART_BYTES));
  });

  it("decode to an empty snapshot of no parts", () => {
    const { frames } = encodeSnapshot(tableOf(0), { revision: 7, sequence: 0 });
    assert.equal(frames.length, 2);
  });

  it("decode to the delta they were made from", () => {
    const rows = [...tableOf(3).rows.values()];
    const frame = encodeDelta({
      fromRevision: 2 ** 40,
      toRevision: 2 ** 40 + 3,
      upserts: rows.map((row) => row.bytes),
      removes: ["10.5.1.0-24", "10.5.2.0-24&fd00::-64"],
    });
    assert.deepEqual(ControllerMessage.decode(frame).body, {
      $case: "delta",
      value: {
        fromRevision: 2 ** 40,
        toRevision: 2 ** 40 + 3,
        upserts: rows.map((row) => leaseToWire(row.lease)),
        removes: ["10.5.1.0-24", "10.5.2.0-24&fd00::-64"],
      },
    });
  });
});
