/**
 * Netlink events against the board: what is as it should be (the echo of our own writes above
 * all) is left alone, what is not asks for a pass. Cheap, because every container that starts
 * or stops makes events; it never touches the kernel.
 *
 * Linux is silent where it matters most (measured; agent/kernel/kernel.ts): a device that goes
 * down, is deleted or loses its last IPv4 address takes IPv4 routes with it without an event
 * for them. So such an event asks for whole lists.
 */
import type { KernelEvent, LinkState } from "../kernel/kernel.ts";
import { neighbourKey } from "../plan/kernel-state.ts";
import type { Board } from "./board.ts";
import type { KindDriver } from "./kind-driver.ts";
import { lowerOf, macOf, wantsTxChecksumOff } from "./link-decision.ts";

/** What an event asks for. */
export type EventVerdict =
  | "nothing"
  /** Something of ours is not as it should be. */
  | "drift"
  /** The underlay got better: if something failed, it may work now. */
  | "retry"
  /** Something of ours is not as it should be, and what failed may work now. */
  | "drift-and-retry"
  /** Events were lost. */
  | "gap";

/**
 * Up to this many entries a kind is listed before drift is repaired and after every write: a
 * few milliseconds for the truth. Larger tables live on events, acknowledged writes and the
 * periodic audit (30,000 entries take 60 to 100 ms to list).
 */
export const SMALL_TABLE = 2_000;

export function isSmall(driver: KindDriver): boolean {
  return driver.desiredCount <= SMALL_TABLE;
}

export function takeEvent(board: Board, event: KernelEvent, nowMs: number): EventVerdict {
  const { drivers, realm } = board;
  switch (event.kind) {
    case "gap":
      board.suspectAll();
      return "gap";
    case "link":
      return takeLink(board, event.link, event.removed, nowMs);
    case "address":
      return takeAddress(board, event, nowMs);
    case "neighbour": {
      if (!realm.devices.has(event.neighbour.device)) return "nothing";
      const { tracker } = drivers.neighbour;
      const isDrift = event.removed
        ? tracker.observeKeyGone(neighbourKey(event.neighbour), nowMs)
        : tracker.observe(event.neighbour, nowMs);
      return verdict(drivers.neighbour, isDrift);
    }
    case "fdb": {
      if (!realm.devices.has(event.entry.device)) return "nothing";
      const { tracker } = drivers.fdb;
      const isDrift = event.removed
        ? tracker.observeGone(event.entry, nowMs)
        : tracker.observe(event.entry, nowMs);
      return verdict(drivers.fdb, isDrift);
    }
    case "route": {
      const { tracker } = drivers.route;
      const isDrift = event.removed
        ? tracker.observeGone(event.route, nowMs)
        : tracker.observe(event.route, nowMs);
      return verdict(drivers.route, isDrift);
    }
  }
}

/** Small tables are listed again before anything is written: an event may be older than it looks. */
function verdict(driver: KindDriver, isDrift: boolean): EventVerdict {
  if (!isDrift) return "nothing";
  if (isSmall(driver)) driver.mustRead = true;
  return "drift";
}

function takeLink(board: Board, link: LinkState, removed: boolean, nowMs: number): EventVerdict {
  const spec = board.spec(link.name);
  if (spec === undefined) return takeUnderlay(board, link.name, removed || !link.up);
  const sameMac = macOf(spec) === undefined || link.mac === macOf(spec);
  const looksRight = !removed && link.up && sameMac && link.mtuBytes === spec.mtuBytes;
  if (looksRight && !wantsTxChecksumOff(spec)) return "nothing";
  board.linksSuspect = true;
  board.linksSuspectSinceMs ??= nowMs;
  if (looksRight) return "drift";
  for (const driver of board.drivers.all) driver.mustRead = true;
  // Somebody else's device of our name may have made room. (Our own attempts end in no removal.)
  return removed ? "drift-and-retry" : "drift";
}

/** A device that is not ours: one of ours may stand on it, or a direct route. */
function takeUnderlay(board: Board, name: string, isGone: boolean): EventVerdict {
  const carriesOurs = board.links.some((one) => lowerOf(one) === name);
  if (carriesOurs) board.linksSuspect = true;
  if (!isGone) return "retry";
  if (board.usesUnderlay) board.drivers.route.mustRead = true;
  return carriesOurs || board.usesUnderlay ? "drift" : "nothing";
}

function takeAddress(
  board: Board,
  event: Extract<KernelEvent, { kind: "address" }>,
  nowMs: number,
): EventVerdict {
  const { address, removed } = event;
  const { drivers, realm } = board;
  if (!realm.devices.has(address.device)) {
    if (!removed) return "retry";
    if (!board.usesUnderlay) return "nothing";
    drivers.route.mustRead = true;
    return "drift";
  }
  const isDrift = removed
    ? drivers.address.tracker.observeGone(address, nowMs)
    : drivers.address.tracker.observe(address, nowMs);
  if (removed && address.ip.family === 4) {
    drivers.neighbour.mustRead = true;
    drivers.route.mustRead = true;
    return "drift";
  }
  return verdict(drivers.address, isDrift);
}
