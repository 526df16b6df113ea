/** What becomes of a device of ours, by kind: every misfit that cannot be put right while it lives. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { LinkState } from "../../../../agent/kernel/kernel.ts";
import type { IpipLink } from "../../../../agent/plan/kernel-state.ts";
import { decideLink, formatLink } from "../../../../agent/reconcile/link-decision.ts";
import { ip } from "../../../support/leases.ts";

const IPIP: IpipLink = {
  kind: "ipip",
  name: "flannel.ipip",
  mtuBytes: 1480,
  local: ip("10.0.0.1"),
};

function device(kind: string, change: Partial<LinkState> = {}): LinkState {
  return {
    index: 7,
    name: "flannel.ipip",
    kind,
    up: true,
    running: true,
    mtuBytes: 1480,
    mac: undefined,
    lowerIndex: 0,
    vxlan: undefined,
    ...change,
  };
}

describe("the device of the ipip backend", () => {
  const ipip = { local: ip("10.0.0.1"), remote: undefined };
  const decide = (actual: LinkState | undefined): string => {
    const decision = decideLink(IPIP, actual, undefined);
    return "found" in decision ? `${decision.kind}: ${decision.found}` : decision.kind;
  };

  it("is created when it is not there and adopted when it fits", () => {
    assert.equal(decide(undefined), "create");
    assert.equal(decide(device("ipip", { ipip })), "use");
  });

  it("is put right while it lives when only its MTU differs or it is down", () => {
    assert.equal(
      decide(device("ipip", { ipip, mtuBytes: 1500, up: false })),
      "change: MTU 1500, down",
    );
  });

  it("is made anew when its local address differs or it has a remote", () => {
    const remote = { ...ipip, remote: ip("10.0.0.9") };
    assert.equal(decide(device("ipip", { ipip: remote })), "recreate: remote 10.0.0.9");
    const moved = { ...ipip, local: ip("10.0.0.2") };
    assert.equal(decide(device("ipip", { ipip: moved })), "recreate: local 10.0.0.2");
    const any = { local: undefined, remote: undefined };
    assert.equal(decide(device("ipip", { ipip: any })), "recreate: no local address");
  });

  it("is somebody else's when it is of another kind", () => {
    assert.equal(decide(device("dummy")), 'foreign: a device of kind "dummy"');
  });

  it("is told of in the words of the usual tools", () => {
    assert.equal(formatLink(IPIP), "flannel.ipip ipip local 10.0.0.1 mtu 1480 up");
  });
});
