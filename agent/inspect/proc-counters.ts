/** Counters as /proc/net has them, parsed. Pure. */
import type { Counter } from "../../proto/gen/twill/v1/node.ts";

export interface DeviceCounters {
  readonly received: number;
  readonly receiveErrors: number;
  readonly sent: number;
  readonly sendErrors: number;
}

const NONE: DeviceCounters = { received: 0, receiveErrors: 0, sent: 0, sendErrors: 0 };

/** /proc/net/dev: "eth0: bytes packets errs drop fifo frame compressed multicast | the same sent". */
export function parseDeviceCounters(text: string): (device: string) => DeviceCounters {
  const found = new Map<string, DeviceCounters>();
  for (const line of text.split("\n")) {
    const colon = line.lastIndexOf(":");
    if (colon < 0) continue;
    const numbers = line
      .slice(colon + 1)
      .trim()
      .split(/\s+/)
      .map(Number);
    const at = (index: number): number => numbers[index] ?? 0;
    found.set(line.slice(0, colon).trim(), {
      received: at(1),
      receiveErrors: at(2) + at(3),
      sent: at(9),
      sendErrors: at(10) + at(11),
    });
  }
  return (device) => found.get(device) ?? NONE;
}

/** Those that tell of packets thrown away and why. */
const TELLING: ReadonlySet<string> = new Set([
  "Ip.InHdrErrors",
  "Ip.InAddrErrors",
  "Ip.InDiscards",
  "Ip.OutNoRoutes",
  "Ip.FragFails",
  "Ip.ForwDatagrams",
  "Udp.NoPorts",
  "Udp.InErrors",
  "Udp.InCsumErrors",
  "Udp.RcvbufErrors",
  "TcpExt.IPReversePathFilter",
]);

/** /proc/net/snmp and /proc/net/netstat: pairs of lines, names and then values. */
export function parseLayerCounters(...texts: readonly string[]): Counter[] {
  return texts.flatMap((text) => {
    const lines = text.split("\n");
    return lines.flatMap((line, index) => {
      const values = lines[index + 1]?.split(" ") ?? [];
      const names = line.split(" ");
      const [layer = ""] = names;
      if (index % 2 === 1 || values[0] !== layer) return [];
      return names.slice(1).flatMap((name, at) => {
        const full = `${layer.slice(0, -1)}.${name}`;
        return TELLING.has(full) ? [{ name: full, value: Number(values[at + 1] ?? 0) }] : [];
      });
    });
  });
}
