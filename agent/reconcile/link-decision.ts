/**
 * What to do about a device of ours, given what the kernel has: create, use, change in place,
 * make anew, or leave alone because it is somebody else's. Pure.
 *
 * The rule of use is flannel's (contract 3.1), so that taking over from flannel touches
 * nothing: kind, VNI, lower device, local address, group, l2miss, port and GBP must agree.
 * MAC, MTU and up are set on the living device. Making a device anew drops all its traffic for
 * a moment, so nothing else does it; its MAC stays the same, because peers hold it in
 * permanent entries.
 */
import { formatIp, sameIp } from "../../common/net/ip.ts";
import type { Mac } from "../../common/net/mac.ts";
import type { IpipInfo, LinkChange, LinkState, VxlanInfo } from "../kernel/kernel.ts";
import type { IpipLink, LinkSpec, VxlanLink } from "../plan/kernel-state.ts";

export type LinkDecision =
  | { readonly kind: "create" }
  /** The device is as it should be. */
  | { readonly kind: "use" }
  | { readonly kind: "change"; readonly set: LinkChange; readonly found: string }
  | { readonly kind: "recreate"; readonly found: string }
  | { readonly kind: "foreign"; readonly found: string };

/** `lower` is the lower device as it is now; undefined when it is not there. */
export function decideLink(
  spec: LinkSpec,
  actual: LinkState | undefined,
  lower: LinkState | undefined,
): LinkDecision {
  if (actual === undefined) return { kind: "create" };
  if (actual.kind !== spec.kind) {
    return { kind: "foreign", found: `a device of kind "${actual.kind}"` };
  }
  const misfit = misfitOf(spec, actual, lower);
  if (misfit !== undefined) return { kind: "recreate", found: misfit };
  return changeInPlace(spec, actual);
}

/** Name of the device that must be there first; undefined: it stands alone. */
export function lowerOf(spec: LinkSpec): string | undefined {
  return spec.kind === "vxlan" ? spec.lower : undefined;
}

/** The MAC that the device must have; undefined: it has none. */
export function macOf(spec: LinkSpec): Mac | undefined {
  return spec.kind === "vxlan" ? spec.mac : undefined;
}

/** What no event says: whoever hears of such a device must look. */
export function wantsTxChecksumOff(spec: LinkSpec): boolean {
  return spec.kind !== "tun" && spec.txChecksumOff === true;
}

/** The device as it should be, for reports of drift. */
export function formatLink(spec: LinkSpec): string {
  const { name, kind, mtuBytes } = spec;
  switch (spec.kind) {
    case "tun":
      return `${name} ${kind} mtu ${mtuBytes} up`;
    case "ipip":
      return `${name} ${kind} local ${formatIp(spec.local)} mtu ${mtuBytes} up`;
    case "wireguard":
      return `${name} ${kind} public-key ${spec.publicKey} port ${spec.listenPort} mtu ${mtuBytes} up`;
    case "vxlan": {
      const { vni, mac, local, lower } = spec;
      return `${name} ${kind} id ${vni} local ${formatIp(local)} dev ${lower} mtu ${mtuBytes} address ${mac} up`;
    }
  }
}

/** The first thing that cannot be changed on a living device and is not as it should be. */
function misfitOf(
  spec: LinkSpec,
  actual: LinkState,
  lower: LinkState | undefined,
): string | undefined {
  switch (spec.kind) {
    case "tun":
    // Everything of it can be changed while it lives: it is never made anew.
    case "wireguard":
      return undefined;
    case "ipip":
      return actual.ipip === undefined
        ? "unreadable tunnel attributes"
        : ipipMisfit(spec, actual.ipip);
    case "vxlan":
      return actual.vxlan === undefined
        ? "unreadable VXLAN attributes"
        : vxlanMisfit(spec, actual.vxlan, lower);
  }
}

/** flannel's rule (contract 3.4): the local address must be ours, and no remote may be set. */
function ipipMisfit(spec: IpipLink, actual: IpipInfo): string | undefined {
  if (actual.remote !== undefined) return `remote ${formatIp(actual.remote)}`;
  if (actual.local === undefined) return "no local address";
  return sameIp(actual.local, spec.local) ? undefined : `local ${formatIp(actual.local)}`;
}

function vxlanMisfit(
  spec: VxlanLink,
  actual: VxlanInfo,
  lower: LinkState | undefined,
): string | undefined {
  if (actual.vni !== spec.vni) return `VNI ${actual.vni}`;
  if (lower !== undefined && actual.lowerIndex > 0 && actual.lowerIndex !== lower.index) {
    return `lower device ${actual.lowerIndex}, not ${spec.lower} (${lower.index})`;
  }
  if (actual.local !== undefined && !sameIp(actual.local, spec.local)) {
    return `local ${formatIp(actual.local)}`;
  }
  if (actual.group !== undefined) return `group ${formatIp(actual.group)}`;
  if (actual.l2miss) return "l2miss";
  if (spec.port > 0 && actual.port > 0 && actual.port !== spec.port) return `port ${actual.port}`;
  if (actual.gbp !== spec.gbp) return actual.gbp ? "gbp" : "no gbp";
  return undefined;
}

/** One thing that is not as it should be on a living device, and what makes it right. */
interface Correction {
  readonly set: LinkChange;
  readonly found: string;
}

function changeInPlace(spec: LinkSpec, actual: LinkState): LinkDecision {
  const mac = macOf(spec);
  const corrections = [
    wireguardCorrection(spec, actual),
    mac === undefined || actual.mac === mac
      ? undefined
      : { set: { mac }, found: `MAC ${actual.mac ?? "none"}` },
    actual.mtuBytes === spec.mtuBytes
      ? undefined
      : { set: { mtuBytes: spec.mtuBytes }, found: `MTU ${actual.mtuBytes}` },
    wantsTxChecksumOff(spec) && actual.txChecksum === true
      ? { set: { txChecksum: false }, found: "tx-checksum-ip-generic on" }
      : undefined,
    actual.up ? undefined : { set: { up: true }, found: "down" },
  ].filter((correction) => correction !== undefined);
  if (corrections.length === 0) return { kind: "use" };
  const set: LinkChange = {};
  for (const correction of corrections) Object.assign(set, correction.set);
  return { kind: "change", set, found: corrections.map(({ found }) => found).join(", ") };
}

function wireguardCorrection(spec: LinkSpec, { wireguard }: LinkState): Correction | undefined {
  if (spec.kind !== "wireguard") return undefined;
  const { publicKey, listenPort, privateKey } = spec;
  const key = wireguard?.publicKey;
  if (key === publicKey && wireguard?.listenPort === listenPort) return undefined;
  const found = `public key ${key ?? "none"}, port ${wireguard?.listenPort ?? "none"}`;
  return { set: { wireguard: { privateKey, listenPort } }, found };
}
