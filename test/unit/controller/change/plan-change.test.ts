/** What each change would do to the store, and which it refuses; nothing is touched unseen. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseNetworkConfig } from "../../../../common/config/parse-network-config.ts";
import { parseIp } from "../../../../common/net/ip.ts";
import type { ChangeRequest, Planned } from "../../../../controller/change/change.ts";
import { planChange } from "../../../../controller/change/plan-change.ts";
import { decodeNodeRecord } from "../../../../controller/lease/node-record.ts";
import { LeaseTable } from "../../../../controller/view/lease-table.ts";
import { leaseValue, recordValue } from "../../../support/lease-texts.ts";
import { StoreHistory } from "../../../support/store-history.ts";

const NOW = "2024-05-05T00:00:00.000Z";
const WHEN = { now: NOW, deadline: NOW, by: "operator/alice" };
const CONFIG = '{"Network":"10.5.0.0/16","Backend":{"Type":"vxlan"}}';
const OWN = "10.5.1.0-24";
const FOREIGN = "10.5.2.0-24";
const RESERVED = "10.5.3.0-24";

/** Node a holds OWN, a real flannel FOREIGN, nobody RESERVED; b is known and drained. */
function table(): LeaseTable {
  const history = new StoreHistory();
  history.put("config", CONFIG, "0");
  history.put(`subnets/${OWN}`, leaseValue("10.99.0.1"));
  history.put("twill/nodes/a", recordValue("a", OWN, "10.99.0.1"), "0");
  history.put(`subnets/${FOREIGN}`, leaseValue("10.99.0.2"));
  history.put(`subnets/${RESERVED}`, leaseValue("10.99.0.3"), "0");
  const drained = { drained: NOW, released: NOW };
  history.put("twill/nodes/b", recordValue("b", "10.5.9.0-24", "10.99.0.9", drained), "0");
  const folded = new LeaseTable();
  for (const change of history.changes) folded.apply(change);
  return folded;
}

function plan(request: ChangeRequest): Planned {
  const parsed = parseNetworkConfig(CONFIG);
  const config = parsed.kind === "valid" ? parsed.config : undefined;
  return planChange(table(), request, { ...WHEN, config });
}

/** Each write and what it stands on, short. */
function written(planned: Planned): readonly string[] {
  if (planned.kind !== "plan") return [planned.kind];
  const basis = new Map(planned.basis.map(({ key, revision }) => [key, revision]));
  return planned.writes.map(({ op, key }) => `${op} ${key} at ${basis.get(key)}`);
}

function recordIn(planned: Planned) {
  assert.ok(planned.kind === "plan");
  const write = planned.writes.find(({ key }) => key.startsWith("twill/nodes/"));
  assert.ok(write?.op === "put");
  const decoded = decodeNodeRecord("a", write.value);
  assert.ok(decoded.kind === "record");
  return decoded.record;
}

describe("the plan of a change", () => {
  it("keeps a node's lease for ever, value untouched", () => {
    const planned = plan({ kind: "reserve", what: "a", publicIp: undefined });
    assert.deepEqual(written(planned), [`put subnets/${OWN} at 3`]);
    assert.ok(planned.kind === "plan" && planned.writes[0]?.op === "put");
    assert.equal(planned.writes[0].value, leaseValue("10.99.0.1"));
    assert.equal(planned.writes[0].etcdLease, "0");
    const again = plan({ kind: "reserve", what: RESERVED, publicIp: undefined });
    assert.equal(again.kind, "nothing");
  });

  it("reserves a free subnet for a machine, and no other", () => {
    const publicIp = parseIp("10.99.0.7");
    const free = plan({ kind: "reserve", what: "10.5.7.0-24", publicIp });
    assert.deepEqual(written(free), ["put subnets/10.5.7.0-24 at 0"]);
    const nobody = plan({ kind: "reserve", what: "10.5.7.0-24", publicIp: undefined });
    assert.equal(nobody.kind, "refused");
    const outside = plan({ kind: "reserve", what: "10.6.7.0-24", publicIp });
    assert.ok(outside.kind === "refused" && outside.message.includes("config"));
    const taken = plan({ kind: "reserve", what: FOREIGN, publicIp });
    assert.ok(taken.kind === "refused" && taken.code === "LEASE_CONFLICT");
  });

  it("releases anybody's lease, and warns of who may still use it", () => {
    const own = plan({ kind: "release", what: "a" });
    assert.deepEqual(written(own), [`delete subnets/${OWN} at 3`, "put twill/nodes/a at 4"]);
    assert.equal(recordIn(own).released, NOW);
    const foreign = plan({ kind: "release", what: FOREIGN });
    assert.deepEqual(written(foreign), [`delete subnets/${FOREIGN} at 5`]);
    assert.ok(foreign.kind === "plan" && foreign.warnings[0]?.includes("10.99.0.2"));
    assert.equal(plan({ kind: "release", what: "10.5.77.0-24" }).kind, "refused");
  });

  it("drains, lets in again and removes a node", () => {
    const drain = plan({ kind: "drain", node: "a" });
    assert.deepEqual(written(drain), [`delete subnets/${OWN} at 3`, "put twill/nodes/a at 4"]);
    assert.equal(recordIn(drain).drained, NOW);
    assert.equal(plan({ kind: "drain", node: "b" }).kind, "nothing");
    assert.deepEqual(written(plan({ kind: "undrain", node: "b" })), ["put twill/nodes/b at 7"]);
    assert.equal(plan({ kind: "undrain", node: "a" }).kind, "nothing");
    const remove = plan({ kind: "remove", node: "a" });
    assert.deepEqual(written(remove), [`delete subnets/${OWN} at 3`, "delete twill/nodes/a at 4"]);
    assert.equal(plan({ kind: "remove", node: "nobody" }).kind, "refused");
  });

  it("names the nodes that a config moves, and moves none for SubnetMin or a wider network", () => {
    const config = (json: string) => plan({ kind: "config", json, timeoutMs: 0 });
    const wider = config('{"Network":"10.4.0.0/15","SubnetMin":"10.5.100.0"}');
    assert.ok(wider.kind === "plan");
    assert.deepEqual(
      wider.steps.filter((step) => step.startsWith("MOVES")),
      [],
    );
    const other = config('{"Network":"10.6.0.0/16"}');
    assert.ok(other.kind === "plan");
    assert.deepEqual(
      other.steps.filter((step) => step.startsWith("MOVES")),
      [`MOVES: node a leaves ${OWN} for another subnet`],
    );
    assert.deepEqual(written(other), ["put config at 2"]);
    assert.equal(config(CONFIG).kind, "nothing");
    const invalid = config('{"Network":"10.5.0.0"}');
    assert.ok(invalid.kind === "refused" && invalid.code === "CONFIG_INVALID");
  });
});
