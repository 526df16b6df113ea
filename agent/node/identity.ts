/** Who this node is to its peers beyond its name: the MACs of its VTEPs, as old as its state directory. */
import type { NetworkConfig } from "../../common/config/network-config.ts";
import { localMac } from "../../common/net/mac.ts";
import type { StateDir } from "../host/state-dir.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { NodeIdentity } from "../plan/backend-planner.ts";
import { vxlanDeviceName } from "../plan/vxlan.ts";

/** Backends without VTEPs never look at it; nothing of it is kept. */
const NO_VTEP = localMac(new Uint8Array(6));

export class IdentitySource {
  readonly #kernel: Kernel;
  readonly #state: StateDir;
  /** The last one, by VNI: planners are made anew when it is another object. */
  #last: { readonly vni: number; readonly identity: NodeIdentity } | undefined;

  constructor(kernel: Kernel, state: StateDir) {
    this.#kernel = kernel;
    this.#state = state;
  }

  async of({ backend }: NetworkConfig, signal: AbortSignal): Promise<NodeIdentity> {
    const vni = backend.type === "vxlan" ? backend.vni : undefined;
    if (vni === undefined) return NOBODY;
    if (this.#last?.vni === vni) return this.#last.identity;
    const links = await this.#kernel.listLinks(signal);
    const vtepMac = await this.#state.macFor({ name: vxlanDeviceName(vni, 4), vni }, links);
    const vtepMacV6 = await this.#state.macFor({ name: vxlanDeviceName(vni, 6), vni }, links);
    const identity = { vtepMac, vtepMacV6 };
    this.#last = { vni, identity };
    return identity;
  }
}

const NOBODY: NodeIdentity = { vtepMac: NO_VTEP, vtepMacV6: NO_VTEP };
