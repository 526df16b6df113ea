/** The kinds of keyed objects, each with its tracker and its way to list the kernel. */
import type {
  AddressState,
  FdbState,
  Kernel,
  NeighbourState,
  RouteState,
  WireguardPeerState,
} from "../kernel/kernel.ts";
import type { KernelObject } from "../plan/kernel-object.ts";
import type {
  AddressSpec,
  FdbSpec,
  NeighbourSpec,
  RouteSpec,
  WireguardPeerSpec,
} from "../plan/kernel-state.ts";
import { WIREGUARD_DEVICE_NAME, WIREGUARD_V6_DEVICE_NAME } from "../plan/wireguard.ts";
import { DeltaTracker } from "./delta-tracker.ts";
import { ADDRESS_RULES, FDB_RULES, NEIGHBOUR_RULES, ROUTE_RULES, WIREGUARD_RULES } from "./diff.ts";
import { type KindDriver, type Lister, TrackedKind } from "./kind-driver.ts";
import type { Realm } from "./ownership.ts";

const WIREGUARD_DEVICES: ReadonlySet<string> = new Set([
  WIREGUARD_DEVICE_NAME,
  WIREGUARD_V6_DEVICE_NAME,
]);

/** All kinds of keyed objects, in the order in which they are read. */
export class ObjectDrivers {
  readonly address = new TrackedKind<AddressSpec, AddressState>(new DeltaTracker(ADDRESS_RULES), {
    kind: "address",
    list: async (kernel, devices, signal) =>
      (await kernel.listAddresses(signal)).filter(({ device }) => devices.has(device)),
    device: ({ device }) => device,
    change: (op, object) => ({ op, kind: "address", object }),
  });

  readonly neighbour = new TrackedKind<NeighbourSpec, NeighbourState>(
    new DeltaTracker(NEIGHBOUR_RULES),
    {
      kind: "neighbour",
      list: perDevice((kernel, device, signal) => kernel.listNeighbours(device, signal)),
      device: ({ device }) => device,
      change: (op, object) => ({ op, kind: "neighbour", object }),
    },
  );

  readonly fdb = new TrackedKind<FdbSpec, FdbState>(new DeltaTracker(FDB_RULES), {
    kind: "fdb",
    list: perDevice((kernel, device, signal) => kernel.listFdb(device, signal)),
    device: ({ device }) => device,
    change: (op, object) => ({ op, kind: "fdb", object }),
  });

  readonly wireguard = new TrackedKind<WireguardPeerSpec, WireguardPeerState>(
    new DeltaTracker(WIREGUARD_RULES),
    {
      kind: "wireguard",
      list: perDevice(async (kernel, device, signal) =>
        // Other kernels than those that need it have no WireGuard to be asked.
        WIREGUARD_DEVICES.has(device) ? kernel.listWireguardPeers(device, signal) : [],
      ),
      device: ({ device }) => device,
      change: (op, object) => ({ op, kind: "wireguard", object }),
    },
  );

  readonly route = new TrackedKind<RouteSpec, RouteState>(new DeltaTracker(ROUTE_RULES), {
    kind: "route",
    list: (kernel, _devices, signal) => kernel.listRoutes(signal),
    device: ({ device }) => device,
    change: (op, object) => ({ op, kind: "route", object }),
  });

  readonly all: readonly KindDriver[] = [
    this.address,
    this.neighbour,
    this.fdb,
    this.wireguard,
    this.route,
  ];

  put(item: KernelObject): void {
    switch (item.kind) {
      case "address":
        this.address.tracker.put(item.object);
        break;
      case "neighbour":
        this.neighbour.tracker.put(item.object);
        break;
      case "fdb":
        this.fdb.tracker.put(item.object);
        break;
      case "wireguard":
        this.wireguard.tracker.put(item.object);
        break;
      case "route":
        this.route.tracker.put(item.object);
        break;
    }
  }

  remove(item: KernelObject): void {
    switch (item.kind) {
      case "address":
        this.address.tracker.remove(item.object);
        break;
      case "neighbour":
        this.neighbour.tracker.remove(item.object);
        break;
      case "fdb":
        this.fdb.tracker.remove(item.object);
        break;
      case "wireguard":
        this.wireguard.tracker.remove(item.object);
        break;
      case "route":
        this.route.tracker.remove(item.object);
        break;
    }
  }

  /** Wants exactly these from now on. */
  replaceAll(items: readonly KernelObject[]): void {
    this.address.tracker.replaceDesired(
      items.flatMap((item) => (item.kind === "address" ? [item.object] : [])),
    );
    this.neighbour.tracker.replaceDesired(
      items.flatMap((item) => (item.kind === "neighbour" ? [item.object] : [])),
    );
    this.fdb.tracker.replaceDesired(
      items.flatMap((item) => (item.kind === "fdb" ? [item.object] : [])),
    );
    this.wireguard.tracker.replaceDesired(
      items.flatMap((item) => (item.kind === "wireguard" ? [item.object] : [])),
    );
    this.route.tracker.replaceDesired(
      items.flatMap((item) => (item.kind === "route" ? [item.object] : [])),
    );
  }

  setRealm(realm: Realm): void {
    for (const driver of this.all) driver.setRealm(realm);
  }
}

/** Entries that hang on a device, listed device by device; a device that is gone has none. */
function perDevice<State>(
  list: (kernel: Kernel, device: string, signal: AbortSignal) => Promise<readonly State[]>,
): Lister<State> {
  return async (kernel, devices, signal) => {
    const lists: (readonly State[])[] = [];
    for (const device of devices) lists.push(await list(kernel, device, signal));
    return lists.flat();
  };
}
