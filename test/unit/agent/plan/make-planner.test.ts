/** Every backend of a config has its planner. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { makePlanner } from "../../../../agent/plan/make-planner.ts";
import { networkConfig, plannerInput, vxlanLease, WIREGUARD } from "../../../support/leases.ts";

const EXTENSION = {
  type: "extension",
  preStartupCommand: "",
  postStartupCommand: "",
  subnetAddCommand: "",
  subnetRemoveCommand: "",
} as const;

it("picks the planner by the config's backend", () => {
  const types = [
    networkConfig(),
    networkConfig({ type: "host-gw" }),
    networkConfig({ type: "alloc" }),
    networkConfig({ type: "udp", port: 8285 }),
    networkConfig({ type: "ipip", directRouting: false }),
    networkConfig(WIREGUARD),
    networkConfig(EXTENSION),
  ];
  const made = types.map((config) => makePlanner(plannerInput(config)));
  assert.deepEqual(
    made.map((one) => (one.kind === "planner" ? one.planner.type : one.reason)),
    ["vxlan", "host-gw", "alloc", "udp", "ipip", "wireguard", "extension"],
  );
});

it("plans nothing for alloc but the lease", () => {
  const made = makePlanner(plannerInput(networkConfig({ type: "alloc" })));
  assert.equal(made.kind, "planner");
  const { planner } = made;
  assert.deepEqual([planner.links, planner.own(vxlanLease(1))], [[], []]);
  assert.deepEqual(planner.peer(vxlanLease(2, { type: "" }), vxlanLease(1)), []);
  assert.deepEqual([planner.mtuBytes, planner.registration.backendType], [1500, ""]);
});
