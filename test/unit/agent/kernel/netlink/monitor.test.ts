/** Events as the listener gets them, over a socket whose other end is scripted. */
import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import type { KernelEvent } from "../../../../../agent/kernel/kernel.ts";
import { RTM } from "../../../../../agent/kernel/netlink/constants.ts";
import { NetlinkMonitor } from "../../../../../agent/kernel/netlink/monitor.ts";
import { encodeRoute } from "../../../../../agent/kernel/netlink/route.ts";
import { until } from "../../../../../scripts/testbed/poll.ts";
import { route } from "../../../../support/kernel-contract.ts";
import { attribute, message, written } from "../../../../support/netlink-bytes.ts";
import { ScriptedNetlink } from "../../../../support/scripted-netlink.ts";

const ETH0 = 2;
const FLANNEL = 4;

describe("the monitor", () => {
  it("delivers nothing before it knows the devices' names, and then everything", async (t) => {
    const bed = open(t);
    await bed.kernel.send(routeEvent(ETH0), linkEvent(FLANNEL, "flannel.1"));
    await bed.kernel.send(routeEvent(FLANNEL));
    assert.deepEqual(bed.told, []);
    bed.answerNames([[ETH0, "eth0"]]);
    await bed.untilTold(3);
    assert.deepEqual(bed.told, ["route eth0", "link flannel.1", "route flannel.1"]);
  });

  it("knows a device by its name until its removal was told", async (t) => {
    const bed = open(t);
    bed.answerNames([[FLANNEL, "flannel.1"]]);
    await bed.kernel.send(routeEvent(FLANNEL), linkEvent(FLANNEL, "flannel.1", RTM.DELLINK));
    await bed.untilTold(2);
    assert.deepEqual(bed.told, ["route flannel.1", "removed link flannel.1"]);
  });

  it("follows a device that is renamed", async (t) => {
    const bed = open(t);
    bed.answerNames([[ETH0, "eth0"]]);
    await bed.kernel.send(linkEvent(ETH0, "uplink"), routeEvent(ETH0));
    await bed.untilTold(2);
    assert.deepEqual(bed.told, ["link uplink", "route uplink"]);
  });

  it("reads the names again and tells a gap when it meets a device it cannot name", async (t) => {
    const bed = open(t);
    bed.answerNames([[ETH0, "eth0"]]);
    await bed.kernel.send(routeEvent(FLANNEL));
    await bed.kernel.send(routeEvent(ETH0));
    await bed.untilAsked(2);
    assert.deepEqual(bed.told, []);
    bed.answerNames([
      [ETH0, "eth0"],
      [FLANNEL, "flannel.1"],
    ]);
    await bed.kernel.send(routeEvent(FLANNEL));
    await bed.untilTold(3);
    assert.deepEqual(bed.told, ["gap", "route eth0", "route flannel.1"]);
  });

  it("asks only once about a device that is gone", async (t) => {
    const bed = open(t);
    bed.answerNames([[ETH0, "eth0"]]);
    await bed.kernel.send(routeEvent(FLANNEL));
    await bed.untilAsked(2);
    bed.answerNames([[ETH0, "eth0"]]);
    await bed.kernel.send(routeEvent(FLANNEL));
    await bed.kernel.send(routeEvent(ETH0));
    await bed.untilTold(2);
    assert.deepEqual(bed.told, ["gap", "route eth0"]);
    assert.equal(bed.asked(), 2);
  });

  it("opens a new socket and tells a gap when the socket breaks", async (t) => {
    const bed = open(t);
    bed.answerNames([[ETH0, "eth0"]]);
    await bed.kernel.send(routeEvent(ETH0));
    await bed.untilTold(1);
    bed.kernel.hangUp();
    await bed.untilAsked(2);
    bed.answerNames([[ETH0, "eth0"]]);
    await bed.kernel.send(routeEvent(ETH0));
    await bed.untilTold(3);
    assert.deepEqual(bed.told, ["route eth0", "gap", "route eth0"]);
    assert.equal(bed.kernel.opened, 2);
  });

  it("takes no notice of messages that are malformed or of no kind it knows", async (t) => {
    const bed = open(t);
    bed.answerNames([[ETH0, "eth0"]]);
    await bed.kernel.send(message({ type: 80, body: Buffer.alloc(8) }));
    for (const type of Object.values(RTM)) await bed.kernel.send(message({ type }));
    await bed.kernel.send(Buffer.from("no netlink"));
    await bed.kernel.send(routeEvent(ETH0));
    await bed.untilTold(1);
    assert.deepEqual(bed.told, ["route eth0"]);
  });

  it("tells nothing after it was disposed", async (t) => {
    const bed = open(t);
    bed.answerNames([[ETH0, "eth0"]]);
    await bed.kernel.send(routeEvent(ETH0));
    await bed.untilTold(1);
    bed.monitor[Symbol.dispose]();
    await assert.rejects(bed.kernel.send(routeEvent(ETH0)));
    assert.equal(bed.told.length, 1);
  });
});

interface Bed {
  readonly kernel: ScriptedNetlink;
  readonly monitor: NetlinkMonitor;
  readonly told: readonly string[];
  /** How often the names were asked for. */
  asked(): number;
  answerNames(names: readonly (readonly [number, string])[]): void;
  untilTold(count: number): Promise<unknown>;
  untilAsked(count: number): Promise<unknown>;
}

function open(t: TestContext): Bed {
  const kernel = new ScriptedNetlink();
  const told: string[] = [];
  let asked = 0;
  let answer: (names: ReadonlyMap<number, string>) => void = () => assert.fail("nobody asked");
  const monitor = new NetlinkMonitor({
    open: kernel.open,
    linkNames: () =>
      new Promise((resolve) => {
        asked += 1;
        answer = resolve;
      }),
    listener: (event) => told.push(describeEvent(event)),
  });
  t.after(() => {
    monitor[Symbol.dispose]();
    kernel[Symbol.dispose]();
  });
  const options = { deadlineMs: 5000, everyMs: 1 };
  const reaches = (count: number, now: () => number): Promise<unknown> =>
    until(`${count} are reached`, options, () => (now() >= count ? true : undefined));
  return {
    kernel,
    monitor,
    told,
    asked: () => asked,
    answerNames: (names) => answer(new Map(names)),
    untilTold: (count) => reaches(count, () => told.length),
    untilAsked: (count) => reaches(count, () => asked),
  };
}

function describeEvent(event: KernelEvent): string {
  switch (event.kind) {
    case "gap":
      return "gap";
    case "link":
      return `${event.removed ? "removed " : ""}link ${event.link.name}`;
    case "route":
      return `${event.removed ? "removed " : ""}route ${event.route.device}`;
    default:
      return event.kind;
  }
}

function routeEvent(index: number): Buffer {
  const head = { op: "put", index, seq: 0 } as const;
  return written((writer) => encodeRoute(writer, head, route("10.244.7.0/24", "10.244.7.0")));
}

function linkEvent(index: number, name: string, type: number = RTM.NEWLINK): Buffer {
  const head = Buffer.alloc(16);
  head.writeUInt32LE(index, 4);
  return message({ type, body: Buffer.concat([head, attribute(3, Buffer.from(`${name}\0`))]) });
}
