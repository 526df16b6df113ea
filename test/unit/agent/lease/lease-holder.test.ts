/** A lease is asked for, held, noticed when lost, and asked for again; never given up. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  ANSWER_TIMEOUT_MS,
  type Claim,
  LeaseHolder,
  type LeaseHolderOptions,
} from "../../../../agent/lease/lease-holder.ts";
import type { TableChange } from "../../../../agent/peers/peer-table.ts";
import { lease } from "../../../support/leases.ts";

const CLAIM: Claim = {
  publicIp: "10.0.0.1",
  publicIpv6: "",
  backendType: "vxlan",
  backendData: "{}",
  backendV6Data: "",
};
const FIRST = "10.244.1.0-24";
const SECOND = "10.244.2.0-24";

function holder(options: Partial<LeaseHolderOptions> = {}): LeaseHolder {
  return new LeaseHolder({
    node: "me",
    previousSubnet: "",
    onSubnetTaken: "renumber",
    ...options,
  });
}

function change(part: Partial<TableChange>): TableChange {
  const position = { instance: "i", revision: 1, digest: "" };
  return { upserts: [], removes: [], position, cameInSync: false, ...part };
}

/** A holder that was given FIRST at time 0. */
function held(options: Partial<LeaseHolderOptions> = {}): LeaseHolder {
  const made = holder(options);
  made.streamOpened(0);
  made.claim(CLAIM, 0);
  const request = made.take(0)?.request ?? 0;
  made.registered({ request, lease: lease({ key: FIRST, node: "me" }) });
  return made;
}

describe("asking for a lease", () => {
  it("waits for both a stream and a claim, in either order", () => {
    const [a, b] = [holder(), holder()];
    a.claim(CLAIM, 0);
    assert.equal(a.take(0), undefined);
    a.streamOpened(0);
    assert.equal(a.take(0)?.publicIp, "10.0.0.1");
    b.streamOpened(0);
    assert.equal(b.take(0), undefined);
    b.claim(CLAIM, 0);
    assert.equal(b.take(0)?.publicIp, "10.0.0.1");
  });

  it("names the subnet of an earlier run, and the lease once there is one", () => {
    const made = holder({ previousSubnet: SECOND });
    made.streamOpened(0);
    made.claim(CLAIM, 0);
    const asking = made.take(0);
    assert.equal(asking?.previousSubnet, SECOND);
    made.registered({ request: asking?.request ?? 0, lease: lease({ key: FIRST, node: "me" }) });
    made.streamClosed();
    made.streamOpened(1);
    assert.equal(made.take(1)?.previousSubnet, FIRST);
  });

  it("is repeated when no answer comes, with another number", () => {
    const made = holder();
    made.streamOpened(0);
    made.claim(CLAIM, 0);
    const first = made.take(0)?.request;
    assert.equal(made.take(ANSWER_TIMEOUT_MS - 1), undefined);
    assert.notEqual(made.take(ANSWER_TIMEOUT_MS)?.request, first);
  });
});

describe("a held lease", () => {
  it("is quiet until something changes", () => {
    const made = held();
    assert.equal(made.isHeld, true);
    assert.equal(made.dueAtMs(), Number.POSITIVE_INFINITY);
    made.claim({ ...CLAIM }, 5);
    assert.equal(made.take(5), undefined);
  });

  it("is registered again at once when the claim changes and on every new stream", () => {
    const made = held();
    made.claim({ ...CLAIM, publicIp: "10.0.0.9" }, 5);
    assert.equal(made.take(5)?.publicIp, "10.0.0.9");
    made.streamClosed();
    assert.equal(made.isHeld, false);
    assert.equal(made.lease?.key, FIRST);
    made.streamOpened(9);
    assert.equal(made.take(9)?.publicIp, "10.0.0.9");
  });

  it("that vanishes from the table, or is another node's there, is claimed again", () => {
    const vanished = held();
    assert.equal(vanished.tableChanged(change({ removes: [FIRST] }), 7), true);
    assert.equal(vanished.take(7)?.previousSubnet, FIRST);
    const taken = held();
    assert.equal(
      taken.tableChanged(change({ upserts: [lease({ key: FIRST, node: "you" })] }), 7),
      true,
    );
    assert.equal(taken.take(7)?.previousSubnet, FIRST);
    assert.equal(taken.lease?.key, FIRST, "the data plane stays");
  });

  it("does not care for other leases, nor for its own being written", () => {
    const made = held();
    const others = change({ removes: [SECOND], upserts: [lease({ key: FIRST, node: "me" })] });
    assert.equal(made.tableChanged(others, 7), false);
    assert.equal(made.isHeld, true);
  });

  it("changes when the controller had to claim another, unasked", () => {
    const made = held();
    assert.equal(
      made.registered({ request: 1, lease: lease({ key: SECOND, node: "me" }) }),
      "renumbered",
    );
    assert.equal(
      made.registered({ request: 1, lease: lease({ key: SECOND, node: "me" }) }),
      "confirmed",
    );
    assert.equal(made.lease?.key, SECOND);
  });
});

describe("answers", () => {
  it("to an earlier request mean nothing", () => {
    const made = holder();
    made.streamOpened(0);
    made.claim(CLAIM, 0);
    const first = made.take(0)?.request ?? 0;
    made.claim({ ...CLAIM, publicIp: "10.0.0.9" }, 1);
    const second = made.take(1)?.request ?? 0;
    assert.equal(
      made.registered({ request: first, lease: lease({ key: FIRST, node: "me" }) }),
      "stale",
    );
    assert.equal(made.refused({ request: first, code: "BUG", retryAfterMs: 0 }, 2), false);
    assert.equal(made.lease, undefined);
    assert.equal(
      made.registered({ request: second, lease: lease({ key: FIRST, node: "me" }) }),
      "acquired",
    );
  });

  it("do not swallow a claim that changed while they were on their way", () => {
    for (const answer of ["registered", "refused"] as const) {
      const made = holder();
      made.streamOpened(0);
      made.claim(CLAIM, 0);
      const request = made.take(0)?.request ?? 0;
      made.claim({ ...CLAIM, publicIp: "10.0.0.9" }, 1);
      if (answer === "registered")
        made.registered({ request, lease: lease({ key: FIRST, node: "me" }) });
      else made.refused({ request, code: "LEASE_CONFLICT", retryAfterMs: 0 }, 1);
      assert.equal(made.take(1)?.publicIp, "10.0.0.9");
    }
  });
});

describe("a refusal", () => {
  const refused = (retryAfterMs: number, code = "LEASE_EXHAUSTED"): LeaseHolder => {
    const made = held();
    made.claim({ ...CLAIM, publicIp: "10.0.0.9" }, 0);
    made.refused({ request: made.take(0)?.request ?? 0, code, retryAfterMs }, 0);
    return made;
  };

  it("is retried when it says so, within bounds", () => {
    assert.equal(refused(3000).dueAtMs(), 3000);
    assert.equal(refused(1).dueAtMs(), 500);
    assert.equal(refused(2 ** 31).dueAtMs(), 600_000);
  });

  it("without a time waits for another claim or another stream", () => {
    const made = refused(0);
    assert.equal(made.dueAtMs(), Number.POSITIVE_INFINITY);
    made.claim({ ...CLAIM, publicIp: "10.0.0.10" }, 9);
    assert.equal(made.take(9)?.publicIp, "10.0.0.10");
    const other = refused(0);
    other.streamClosed();
    other.streamOpened(4);
    assert.ok(other.take(4));
  });

  it("because the subnet is taken gives it up, or holds on to it, as told", () => {
    for (const onSubnetTaken of ["renumber", "hold"] as const) {
      const made = held({ onSubnetTaken });
      made.tableChanged(change({ upserts: [lease({ key: FIRST, node: "you" })] }), 0);
      const request = made.take(0)?.request ?? 0;
      made.refused({ request, code: "SUBNET_TAKEN", retryAfterMs: 2000 }, 0);
      const asking = made.take(made.dueAtMs());
      assert.equal(asking?.previousSubnet, onSubnetTaken === "hold" ? FIRST : "");
      assert.equal(made.lease?.key, FIRST, "the data plane stays until there is another subnet");
    }
  });
});
