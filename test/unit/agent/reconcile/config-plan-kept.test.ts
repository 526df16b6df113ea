/**
 * A plan is a promise: what `config plan` counts is what the reconciler then does, also when
 * the change goes through all steps of a change of backend.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { planConfigChange } from "../../../../agent/plan/config-plan.ts";
import type { Lease } from "../../../../common/lease/lease.ts";
import { DataPlaneBench } from "../../../support/data-plane-bench.ts";
import {
  hostFacts,
  IDENTITY,
  networkConfig,
  VXLAN,
  vtepData,
  vxlanLease,
} from "../../../support/leases.ts";

const OWN = vxlanLease(1, { ip: "10.99.0.1", data: vtepData(IDENTITY.vtepMac) });
const PEERS = [2, 3, 4];
const vxlan = { config: networkConfig(), host: hostFacts(), identity: IDENTITY };
const hostGw = { ...vxlan, config: networkConfig({ type: "host-gw" }) };
const direct = {
  ...vxlan,
  config: networkConfig({ ...VXLAN, directRouting: true }),
  host: hostFacts({ direct: new Set(["10.99.0.2", "10.99.0.3"]) }),
};

function vxlanLeases(): readonly Lease[] {
  return PEERS.map((n) => vxlanLease(n));
}

function hostGwLeases(): readonly Lease[] {
  return PEERS.map((n) => vxlanLease(n, { type: "host-gw", data: "" }));
}

/** What was done since `from`, by the agent's own log. */
function done(bench: DataPlaneBench, from: number): ReadonlyMap<string, string> {
  const counts = new Map<string, { put: number; deleted: number }>();
  const add = (kind: string, what: "put" | "deleted", count: number): void => {
    const known = counts.get(kind) ?? { put: 0, deleted: 0 };
    counts.set(kind, { ...known, [what]: known[what] + count });
  };
  for (const { name, fields } of bench.log.all.slice(from)) {
    if (name === "link.created") add("link", "put", 1);
    if (name === "link.removed") add("link", "deleted", 1);
    if (name !== "reconcile.applied") continue;
    for (const what of ["put", "deleted"] as const) {
      for (const [kind, count] of countsOf(fields[what])) add(kind, what, count);
    }
  }
  return new Map([...counts].map(([kind, { put, deleted }]) => [kind, `+${put} -${deleted}`]));
}

/** A log line's counts by kind. */
function countsOf(field: unknown): readonly (readonly [kind: string, count: number])[] {
  if (typeof field !== "object" || field === null) return [];
  return Object.entries(field).map(([kind, count]) => [kind, Number(count)]);
}

function planned(from: typeof vxlan, to: typeof vxlan, leases: readonly Lease[]) {
  const { operations } = planConfigChange(from, to, { own: OWN, leases });
  return new Map(operations.map(({ kind, put, deleted }) => [kind, `+${put} -${deleted}`]));
}

async function started(input: typeof vxlan, leases: readonly Lease[]): Promise<DataPlaneBench> {
  const bench = new DataPlaneBench();
  await bench.node(input);
  await bench.snapshot(5, [OWN, ...leases]);
  await bench.node({ ...input, own: OWN });
  return bench;
}

describe("what a config's plan counts", () => {
  it("is what DirectRouting does, on and off", async () => {
    await using bench = await started(vxlan, vxlanLeases());
    let from = bench.log.all.length;
    await bench.node({ ...direct, own: OWN });
    assert.deepEqual(done(bench, from), planned(vxlan, direct, vxlanLeases()));
    from = bench.log.all.length;
    await bench.node({ ...vxlan, own: OWN });
    assert.deepEqual(done(bench, from), planned(direct, vxlan, vxlanLeases()));
  });

  it("is what all steps from vxlan to host-gw do together", async () => {
    await using bench = await started(vxlan, vxlanLeases());
    const from = bench.log.all.length;
    await bench.node({ ...vxlan, own: OWN, also: hostGw, mark: "prepare" });
    await bench.node({ ...hostGw, own: OWN, also: vxlan, mark: "switch" });
    for (const lease of hostGwLeases()) await bench.delta([lease]);
    await bench.node({ ...hostGw, own: OWN });
    assert.deepEqual(done(bench, from), planned(vxlan, hostGw, vxlanLeases()));
  });

  it("is what all steps from host-gw to vxlan do together", async () => {
    await using bench = await started(hostGw, hostGwLeases());
    const from = bench.log.all.length;
    await bench.node({ ...hostGw, own: OWN, also: vxlan, mark: "prepare" });
    await bench.node({ ...vxlan, own: OWN, also: hostGw, mark: "switch" });
    for (const lease of vxlanLeases()) await bench.delta([lease]);
    await bench.node({ ...vxlan, own: OWN });
    assert.deepEqual(done(bench, from), planned(hostGw, vxlan, hostGwLeases()));
  });
});
