/**
 * The plan of the whole node, kept lease by lease: what one changed lease costs does not
 * depend on how many there are, and what comes out does not depend on the order they came in.
 *
 * Peers that claim the same thing (a MAC, a subnet) are settled here for every backend: the
 * one with the lowest lease key is programmed, all of them are reported. A crowd of peers is
 * programmed in another shape (crowd.ts): the one thing that depends on how many there are.
 */
import type { Lease } from "../../common/lease/lease.ts";
import type { PeerProblem } from "../peers/peer-problem.ts";
import type { TunnelPeer } from "../tunnel/peer-table.ts";
import type { BackendPlanner, ExtensionPeer, PeerPart } from "./backend-planner.ts";
import { ClaimBook } from "./claim-book.ts";
import { isCrowd, spread } from "./crowd.ts";
import { formatObject, type KernelObject, objectId } from "./kernel-object.ts";
import type { KernelState } from "./kernel-state.ts";

/** What changed of the desired objects; ids are unique over both lists. */
export interface PlanDelta {
  readonly puts: readonly KernelObject[];
  readonly removes: readonly KernelObject[];
}

interface PlannedLease {
  readonly node: string;
  readonly parts: readonly PeerPart[];
}

type UsablePart = Extract<PeerPart, { readonly kind: "usable" }>;

export class PlanBook {
  readonly #planner: BackendPlanner;
  readonly #own: Lease;
  readonly #base: readonly KernelObject[];
  readonly #leases = new Map<string, PlannedLease>();
  readonly #claims = new ClaimBook();
  /** Keys of leases with problems: few, where asking every lease would cost every delta. */
  readonly #troubled = new Set<string>();
  #isCrowd = false;

  /** `extra`: objects of this node that no backend asks for (the blackhole route). */
  constructor(planner: BackendPlanner, own: Lease, extra: readonly KernelObject[] = []) {
    this.#planner = planner;
    this.#own = own;
    this.#base = [...planner.own(own), ...extra];
  }

  /** Leases that are usable peers in at least one family, and free of conflicts there. */
  get peerCount(): number {
    return [...this.#leases.keys()].filter((key) => this.#partsOf(key).length > 0).length;
  }

  update(upserts: Iterable<Lease>, removes: Iterable<string>): PlanDelta {
    const fresh = new Map<string, PlannedLease | undefined>();
    for (const key of removes) fresh.set(key, undefined);
    for (const lease of upserts) {
      const parts = this.#planner.peer(lease, this.#own);
      fresh.set(lease.key, parts.length === 0 ? undefined : { node: lease.node, parts });
    }
    const willBeCrowd = isCrowd(this.#isCrowd, this.#countWith(fresh));
    const affected = this.#affectedBy(fresh);
    if (willBeCrowd !== this.#isCrowd) for (const key of this.#leases.keys()) affected.add(key);
    const before = this.#collect(affected);
    for (const [key, planned] of fresh) this.#replace(key, planned);
    for (const key of affected) this.#noteTrouble(key);
    this.#isCrowd = willBeCrowd;
    return difference(before, this.#collect(affected));
  }

  /** The whole desired state. */
  state(): KernelState {
    const objects = [...this.#base, ...[...this.#leases.keys()].flatMap((k) => this.#objectsOf(k))];
    return { links: this.#planner.links, ...split(objects) };
  }

  /** Peers of the packet loop, free of conflicts; for `setPeers` of the udp tunnel. */
  tunnelPeers(): readonly TunnelPeer[] {
    return [...this.#leases.keys()].flatMap((key) =>
      this.#partsOf(key).flatMap(({ tunnelPeer }) => tunnelPeer ?? []),
    );
  }

  /** Peers that the operator's commands are run for, free of conflicts. */
  extensionPeers(): readonly ExtensionPeer[] {
    return [...this.#leases.keys()].flatMap((key) =>
      this.#partsOf(key).flatMap(({ extensionPeer }) => extensionPeer ?? []),
    );
  }

  /** Every lease that is wholly or partly unusable, and why; in order of lease keys. */
  problems(): readonly PeerProblem[] {
    return [...this.#troubled]
      .flatMap((key) => this.#problemsOf(key))
      .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : a.family - b.family));
  }

  /** How many leases are planned once these are. */
  #countWith(fresh: ReadonlyMap<string, PlannedLease | undefined>): number {
    let count = this.#leases.size;
    for (const [key, planned] of fresh) {
      count += Number(planned !== undefined) - Number(this.#leases.has(key));
    }
    return count;
  }

  #noteTrouble(key: string): void {
    if (this.#problemsOf(key).length > 0) this.#troubled.add(key);
    else this.#troubled.delete(key);
  }

  #problemsOf(key: string): PeerProblem[] {
    const planned = this.#leases.get(key);
    if (planned === undefined) return [];
    return planned.parts.flatMap((part) => this.#partProblems(key, planned.node, part));
  }

  #partProblems(key: string, node: string, part: PeerPart): PeerProblem[] {
    const problem = (reason: string): PeerProblem => ({ key, node, family: part.family, reason });
    if (part.kind === "invalid") return [problem(part.reason)];
    return part.claims.flatMap((claim) => {
      const others = this.#claims.rivals(scoped(part, claim), key);
      if (others.length === 0) return [];
      const used = this.#claims.holds(scoped(part, claim), key);
      const verdict = used ? "this one is used" : "this one is not used";
      return [problem(`its ${claim} is also claimed by lease ${others.join(", ")}; ${verdict}`)];
    });
  }

  /** The leases themselves and everybody who claims what they claimed or will claim. */
  #affectedBy(fresh: ReadonlyMap<string, PlannedLease | undefined>): Set<string> {
    const affected = new Set(fresh.keys());
    for (const [key, planned] of fresh) {
      const claims = [...claimsOf(this.#leases.get(key)), ...claimsOf(planned)];
      for (const claim of claims) {
        for (const rival of this.#claims.rivals(claim, key)) affected.add(rival);
      }
    }
    return affected;
  }

  #replace(key: string, planned: PlannedLease | undefined): void {
    for (const claim of claimsOf(this.#leases.get(key))) this.#claims.remove(claim, key);
    for (const claim of claimsOf(planned)) this.#claims.add(claim, key);
    if (planned === undefined) this.#leases.delete(key);
    else this.#leases.set(key, planned);
  }

  #collect(keys: Iterable<string>): Map<string, KernelObject> {
    const objects = new Map<string, KernelObject>();
    for (const key of keys) {
      for (const item of this.#objectsOf(key)) objects.set(objectId(item), item);
    }
    return objects;
  }

  #objectsOf(key: string): readonly KernelObject[] {
    const objects = this.#partsOf(key).flatMap((part) => part.objects);
    return this.#isCrowd ? objects.map(spread) : objects;
  }

  /** The parts of a lease that are usable and hold all they claim. */
  #partsOf(key: string): readonly UsablePart[] {
    return (this.#leases.get(key)?.parts ?? []).filter(
      (part): part is UsablePart =>
        part.kind === "usable" &&
        part.claims.every((claim) => this.#claims.holds(scoped(part, claim), key)),
    );
  }
}

function claimsOf(planned: PlannedLease | undefined): string[] {
  return (planned?.parts ?? []).flatMap((part) =>
    part.kind === "usable" ? part.claims.map((claim) => scoped(part, claim)) : [],
  );
}

/** The families have devices of their own: one MAC in both is no conflict. */
function scoped(part: PeerPart, claim: string): string {
  return `${part.family} ${claim}`;
}

function difference(
  before: ReadonlyMap<string, KernelObject>,
  after: ReadonlyMap<string, KernelObject>,
): PlanDelta {
  const unchanged = (id: string, item: KernelObject): boolean => {
    const old = before.get(id);
    return old !== undefined && formatObject(old) === formatObject(item);
  };
  return {
    puts: [...after].filter(([id, item]) => !unchanged(id, item)).map(([, item]) => item),
    removes: [...before].filter(([id]) => !after.has(id)).map(([, item]) => item),
  };
}

function split(objects: readonly KernelObject[]): Omit<KernelState, "links"> {
  return {
    addresses: objects.flatMap((item) => (item.kind === "address" ? [item.object] : [])),
    neighbours: objects.flatMap((item) => (item.kind === "neighbour" ? [item.object] : [])),
    fdb: objects.flatMap((item) => (item.kind === "fdb" ? [item.object] : [])),
    wireguardPeers: objects.flatMap((item) => (item.kind === "wireguard" ? [item.object] : [])),
    routes: objects.flatMap((item) => (item.kind === "route" ? [item.object] : [])),
  };
}
