/** A network's TUN device: its own again, else the first that is nobody's. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { chooseUdpDevice, type HostDevices } from "../../../../agent/host/udp-device.ts";
import { FakeKernel } from "../../../support/fake-kernel.ts";
import { ip, mac, network } from "../../../support/leases.ts";

const NETWORK = network("10.244.0.0/16");
const { signal } = new AbortController();

/** Name, kind and address; with an address that ends in "!" somebody reads its packets. */
type Device = readonly [name: string, kind: string, address: string];

async function host(devices: readonly Device[]): Promise<HostDevices> {
  const kernel = new FakeKernel();
  for (const [name, kind, text] of devices) {
    const lladdr = kind === "tun" ? undefined : mac("02:00:00:00:00:01");
    kernel.network.addDevice({ name, kind, mac: lladdr, up: text.endsWith("!") });
    const address = text.replace("!", "");
    if (address !== "") {
      kernel.network.putAddress({ device: name, ip: ip(address), prefix: 32 });
    }
  }
  const [links, addresses] = [await kernel.listLinks(signal), await kernel.listAddresses(signal)];
  return { links, addresses };
}

describe("the udp backend's device", () => {
  const cases: [string, readonly Device[], string | undefined, string][] = [
    ["is flannel0 on an empty host", [], undefined, "flannel0"],
    ["is what an earlier run left", [["flannel0", "tun", "10.244.1.0"]], undefined, "flannel0"],
    [
      "is not what another agent holds",
      [["flannel0", "tun", "10.244.1.0!"]],
      undefined,
      "flannel1",
    ],
    ["is not another network's", [["flannel0", "tun", "10.7.1.0"]], undefined, "flannel1"],
    ["is not one that was only just made", [["flannel0", "tun", ""]], undefined, "flannel1"],
    ["is not of another kind", [["flannel0", "bridge", "10.244.1.1"]], undefined, "flannel1"],
    ["is the first that is free", [["flannel1", "tun", "10.7.1.0!"]], undefined, "flannel0"],
    ["stays what it was", [["flannel0", "tun", "10.7.1.0!"]], "flannel3\n", "flannel3"],
    ["is chosen anew when the file is damaged", [], "eth0", "flannel0"],
  ];
  for (const [title, devices, persisted, expected] of cases) {
    it(title, async () => {
      assert.equal(chooseUdpDevice(persisted, NETWORK, await host(devices)), expected);
    });
  }
});
