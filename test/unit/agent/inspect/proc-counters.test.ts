/** Counters in the kernel's own spelling. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  parseDeviceCounters,
  parseLayerCounters,
} from "../../../../agent/inspect/proc-counters.ts";

const DEV = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:     100       2    0    0    0     0          0         0      100       2    0    0    0     0       0          0
flannel.1: 8400     100    1    2    0     0          0         0     8500     101    3    4    0     0       0          0
`;

describe("the kernel's counters", () => {
  it("are read per device, and are zero for one that is not there", () => {
    const counters = parseDeviceCounters(DEV);
    const flannel = { received: 100, receiveErrors: 3, sent: 101, sendErrors: 7 };
    assert.deepEqual(counters("flannel.1"), flannel);
    assert.equal(counters("eth9").received, 0);
  });

  it("are read per layer, those that tell of packets thrown away", () => {
    const snmp = "Udp: InDatagrams NoPorts InCsumErrors\nUdp: 10 2 3\n";
    const netstat = "TcpExt: Other IPReversePathFilter\nTcpExt: 1 4\n";
    assert.deepEqual(parseLayerCounters(snmp, netstat), [
      { name: "Udp.NoPorts", value: 2 },
      { name: "Udp.InCsumErrors", value: 3 },
      { name: "TcpExt.IPReversePathFilter", value: 4 },
    ]);
    assert.deepEqual(parseLayerCounters("", "rubbish"), []);
  });
});
