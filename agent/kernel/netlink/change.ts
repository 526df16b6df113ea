/**
 * One KernelChange as one netlink message, and which answers to it are no failure. WireGuard
 * peers go to a family of their own (wireguard-socket.ts), the rest to rtnetlink.
 */
import { assertNever } from "../../../common/errors.ts";
import type { ChangeFailure, KernelChange } from "../kernel.ts";
import { encodeAddress } from "./address.ts";
import { encodeFdb, encodeNeighbour } from "./neighbour.ts";
import { encodeRoute } from "./route.ts";
import type { Refusal } from "./socket.ts";
import type { ChangeHead, MessageWriter } from "./writer.ts";

export type WireguardChange = Extract<KernelChange, { readonly kind: "wireguard" }>;
/** What rtnetlink makes. */
export type RouteChange = Exclude<KernelChange, WireguardChange>;

interface Run {
  readonly wireguard: readonly WireguardChange[];
  readonly others: readonly RouteChange[];
}

/** Cuts the changes where they go to the other family, so that their order stays. */
export function runsOf(changes: readonly KernelChange[]): readonly Run[] {
  const runs: { wireguard: WireguardChange[]; others: RouteChange[] }[] = [];
  for (const change of changes) {
    const last = runs.at(-1);
    if (change.kind === "wireguard") {
      if (last === undefined || last.others.length > 0) {
        runs.push({ wireguard: [change], others: [] });
      } else last.wireguard.push(change);
    } else if (last === undefined) runs.push({ wireguard: [], others: [change] });
    else last.others.push(change);
  }
  return runs;
}

export function encodeChange(writer: MessageWriter, head: ChangeHead, change: RouteChange): void {
  switch (change.kind) {
    case "address":
      encodeAddress(writer, head, change.object);
      break;
    case "neighbour":
      encodeNeighbour(writer, head, change.object);
      break;
    case "fdb":
      encodeFdb(writer, head, change.object);
      break;
    case "route":
      encodeRoute(writer, head, change.object);
      break;
    default:
      assertNever(change);
  }
}

/** Names of the devices that the changes are on, each once. */
export function devicesOf(changes: readonly KernelChange[]): readonly string[] {
  const names = new Set<string>();
  for (const { object } of changes) if (object.device !== undefined) names.add(object.device);
  return [...names];
}

/**
 * Sorts out the changes on devices that do not exist: a put fails, a delete has nothing to do.
 * The kernel must not see them, because it takes a missing device for any device.
 */
export function splitByDevice<Change extends KernelChange>(
  changes: readonly Change[],
  indices: ReadonlyMap<string, number>,
): { readonly sendable: readonly Change[]; readonly failures: readonly ChangeFailure[] } {
  const exists = ({ object: { device } }: KernelChange): boolean =>
    device === undefined || indices.has(device);
  const missing = changes.filter((change) => change.op === "put" && !exists(change));
  return {
    sendable: changes.filter(exists),
    failures: missing.map((change) => {
      const message = `there is no interface ${change.object.device}`;
      return { change, errno: "ENODEV", message };
    }),
  };
}

/** Device, address, neighbour or FDB entry, route that is not there. */
const NOT_THERE: ReadonlySet<string> = new Set(["ENODEV", "EADDRNOTAVAIL", "ENOENT", "ESRCH"]);

/** Refusals as failures of their changes; deleting what is not there is none. */
export function failuresOf(
  changes: readonly KernelChange[],
  refusals: readonly Refusal[],
): readonly ChangeFailure[] {
  return refusals.flatMap(({ index, errno, sentence }) => {
    const change = changes[index];
    if (change === undefined || (change.op === "delete" && NOT_THERE.has(errno))) return [];
    return [{ change, errno, message: sentence }];
  });
}
