/** A desired kernel state as text, one line per object, for golden files. */
import { formatObject, objectsOf } from "../../agent/plan/kernel-object.ts";
import type { KernelState, LinkSpec } from "../../agent/plan/kernel-state.ts";
import { formatIp } from "../../common/net/ip.ts";

export function formatKernelState(state: KernelState): string {
  const objects = objectsOf(state).map((item) => `${item.kind} ${formatObject(item)}`);
  return [...state.links.map(formatLink), ...objects.sort()].map((line) => `${line}\n`).join("");
}

function formatLink(link: LinkSpec): string {
  if (link.kind === "tun") return `link ${link.name} mtu ${link.mtuBytes} tun`;
  if (link.kind === "ipip") {
    return `link ${link.name} mtu ${link.mtuBytes} ipip local ${formatIp(link.local)}`;
  }
  if (link.kind === "wireguard") {
    const { name, mtuBytes, publicKey, listenPort, privateKey } = link;
    return `link ${name} mtu ${mtuBytes} wireguard public-key ${publicKey} listen-port ${listenPort} private-key ${String(privateKey)}`;
  }
  const flags = `${link.learning ? " learning" : " nolearning"}${link.gbp ? " gbp" : ""}`;
  const port = link.port === 0 ? "" : ` dstport ${link.port}`;
  return (
    `link ${link.name} mtu ${link.mtuBytes} address ${link.mac} vxlan id ${link.vni} ` +
    `local ${formatIp(link.local)} dev ${link.lower}${port}${flags}`
  );
}
