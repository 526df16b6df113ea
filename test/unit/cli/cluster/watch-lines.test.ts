/** Events as lines: one each, and what every controller tells once. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { WatchLines } from "../../../../cli/cluster/watch-lines.ts";
import type { WatchEvent } from "../../../../proto/gen/twill/v1/inspect.ts";

const told = (event: WatchEvent["event"]): WatchEvent => ({ atMs: 0, event });
const LEASE = {
  ...{ key: "10.244.1.0-24", node: "n1", publicIp: "10.0.0.1", publicIpv6: "" },
  ...{ backendType: "vxlan", backendData: "", backendV6Data: "" },
};

describe("lines of what happens", () => {
  it("say what, who and at which revision", () => {
    const lines = new WatchLines();
    const drift = { kind: "route", key: "10.244.2.0/24", expected: "", found: "", repairedMs: 3 };
    const events: WatchEvent["event"][] = [
      { $case: "lease", value: { revision: 7, lease: LEASE, gone: false } },
      { $case: "lease", value: { revision: 8, lease: LEASE, gone: true } },
      { $case: "ack", value: { node: "n1", revision: 8, applyMs: 3, failures: [] } },
      { $case: "drift", value: { node: "n1", drift } },
      { $case: "leader", value: { leader: "" } },
      { $case: "stream", value: { node: "n1", connected: true, reason: "resume" } },
      { $case: "config", value: { revision: 9, fault: "" } },
    ];
    assert.deepEqual(
      events.map((event) => lines.line(told(event))),
      [
        "lease   10.244.1.0-24 of n1 at 10.0.0.1, revision 7",
        "lease   10.244.1.0-24 is gone, revision 8",
        "ack     n1 has applied revision 8 in 3 ms",
        "drift   n1 repaired route 10.244.2.0/24, which was missing",
        "leader  nobody leads",
        "stream  n1 is connected: resume",
        "config  revision 9 is in force",
      ].map((words) => `1970-01-01T00:00:00.000Z  ${words}`),
    );
  });

  it("come once from all controllers together", () => {
    const lines = new WatchLines();
    const event = told({ $case: "lease", value: { revision: 7, lease: LEASE, gone: false } });
    assert.ok(lines.line(event));
    assert.equal(lines.line({ ...event, atMs: 5 }), undefined);
  });
});
