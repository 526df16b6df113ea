/**
 * Which TUN device is this network's, should a host have two udp networks: flannel takes the
 * first free "flannel%d" (contract 3.3), and so does Twill, but once: a device outlives the
 * agent, and what it had before is found again. Pure.
 */
import { type Cidr, containsIp } from "../../common/net/cidr.ts";
import type { AddressState, LinkState } from "../kernel/kernel.ts";

const NAME = /^flannel[0-9]{1,8}$/;
const nameOf = (number: number): string => `flannel${number}`;

/** What the kernel has now. */
export interface HostDevices {
  readonly links: readonly LinkState[];
  readonly addresses: readonly AddressState[];
}

/** `persisted`: what an earlier run has chosen, as its file says. */
export function chooseUdpDevice(
  persisted: string | undefined,
  network: Cidr,
  { links, addresses }: HostDevices,
): string {
  const kept = persisted?.trim() ?? "";
  if (NAME.test(kept)) return kept;
  const hasOurAddress = (name: string): boolean =>
    addresses.some(({ device, ip }) => device === name && containsIp(network, ip));
  for (let number = 0; ; number += 1) {
    const name = nameOf(number);
    const link = links.find((one) => one.name === name);
    if (link === undefined) return name;
    // Left by a run that kept no file; with carrier somebody reads its packets.
    if (link.kind === "tun" && !link.running && hasOurAddress(name)) return name;
  }
}
