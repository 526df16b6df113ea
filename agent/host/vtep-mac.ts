/**
 * Which MAC a VTEP device has: the one it always had. Peers hold it in permanent ARP and FDB
 * entries, so a new one cuts the node off until every peer has heard of it. Pure.
 */

import { isUnicastMac, localMac, type Mac, parseMac } from "../../common/net/mac.ts";
import type { LinkState } from "../kernel/kernel.ts";

export interface MacDecision {
  readonly mac: Mac;
  /** adopted: taken from a device of another run (or of flannel) that is still in the kernel. */
  readonly source: "persisted" | "adopted" | "made";
}

/** What is asked for: a vxlan device by name and VNI. */
export interface VtepDevice {
  readonly name: string;
  readonly vni: number;
}

/** `random` are six random bytes, used only when there is neither a file nor a device. */
export function decideMac(
  device: VtepDevice,
  persisted: Mac | undefined,
  links: readonly LinkState[],
  random: Uint8Array,
): MacDecision {
  if (persisted !== undefined) return { mac: persisted, source: "persisted" };
  const existing = links.find(
    (link) => link.name === device.name && link.kind === "vxlan" && link.vxlan?.vni === device.vni,
  );
  if (existing?.mac !== undefined && isUnicastMac(existing.mac)) {
    return { mac: existing.mac, source: "adopted" };
  }
  return { mac: localMac(random), source: "made" };
}

export type ParsedMacFile =
  | { readonly kind: "macs"; readonly macs: ReadonlyMap<string, Mac> }
  | { readonly kind: "corrupt"; readonly reason: string };

/** One "device mac" pair a line. */
export function renderMacFile(macs: ReadonlyMap<string, Mac>): string {
  return [...macs].map(([device, mac]) => `${device} ${mac}\n`).join("");
}

export function parseMacFile(text: string): ParsedMacFile {
  const macs = new Map<string, Mac>();
  for (const line of text.split("\n")) {
    if (line.trim() === "") continue;
    const [device = "", macText = "", ...more] = line.trim().split(/\s+/);
    const mac = parseMac(macText);
    if (mac === undefined || !isUnicastMac(mac) || more.length > 0) {
      return { kind: "corrupt", reason: `"${line.slice(0, 80)}" is no device and its MAC` };
    }
    macs.set(device, mac);
  }
  return { kind: "macs", macs };
}
