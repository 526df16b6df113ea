/**
 * Who this node is to its peers beyond its name: the MACs of its VTEPs, as old as its state
 * directory, or its WireGuard key; and which TUN device is its own.
 */
import type { NetworkConfig } from "../../common/config/network-config.ts";
import { TwillError } from "../../common/errors.ts";
import type { Cidr } from "../../common/net/cidr.ts";
import { localMac } from "../../common/net/mac.ts";
import type { StateDir } from "../host/state-dir.ts";
import { loadWireguardKey } from "../host/wireguard-key.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { NodeIdentity } from "../plan/backend-planner.ts";
import { vxlanDeviceName } from "../plan/vxlan.ts";

/** Backends without VTEPs never look at it; nothing of it is kept. */
const NO_VTEP = localMac(new Uint8Array(6));

export class IdentitySource {
  readonly #kernel: Kernel;
  readonly #state: StateDir;
  readonly #wireguardKeyFile: string;
  /** The last ones: planners are made anew when it is another object. */
  #last: { readonly vni: number; readonly identity: NodeIdentity } | undefined;
  #wireguard: NodeIdentity | undefined;
  #udp: NodeIdentity | undefined;

  constructor(kernel: Kernel, state: StateDir, wireguardKeyFile: string) {
    this.#kernel = kernel;
    this.#state = state;
    this.#wireguardKeyFile = wireguardKeyFile;
  }

  async of({ backend, v4 }: NetworkConfig, signal: AbortSignal): Promise<NodeIdentity> {
    if (backend.type === "wireguard") return this.#ofWireguard();
    if (backend.type === "udp") return this.#ofUdp(v4?.network, signal);
    if (backend.type !== "vxlan") return NOBODY;
    return this.#ofVxlan(backend.vni, signal);
  }

  async #ofVxlan(vni: number, signal: AbortSignal): Promise<NodeIdentity> {
    if (this.#last?.vni === vni) return this.#last.identity;
    const links = await this.#kernel.listLinks(signal);
    const vtepMac = await this.#state.macFor({ name: vxlanDeviceName(vni, 4), vni }, links);
    const vtepMacV6 = await this.#state.macFor({ name: vxlanDeviceName(vni, 6), vni }, links);
    const identity = { vtepMac, vtepMacV6 };
    this.#last = { vni, identity };
    return identity;
  }

  async #ofUdp(network: Cidr | undefined, signal: AbortSignal): Promise<NodeIdentity> {
    if (network === undefined) return NOBODY;
    this.#udp ??= {
      ...NOBODY,
      udpDevice: await this.#state.udpDevice(network, {
        links: await this.#kernel.listLinks(signal),
        addresses: await this.#kernel.listAddresses(signal),
      }),
    };
    return this.#udp;
  }

  /** A file that is damaged is looked at again each time: somebody may put it right. */
  async #ofWireguard(): Promise<NodeIdentity> {
    const known = this.#wireguard?.wireguard;
    if (this.#wireguard !== undefined && known !== undefined && !("problem" in known)) {
      return this.#wireguard;
    }
    const wireguard = await this.#readKey();
    const isSame = "problem" in wireguard && known !== undefined && "problem" in known;
    if (this.#wireguard === undefined || !isSame || known.problem !== wireguard.problem) {
      this.#wireguard = { ...NOBODY, wireguard };
    }
    return this.#wireguard;
  }

  async #readKey(): Promise<NonNullable<NodeIdentity["wireguard"]>> {
    try {
      return await loadWireguardKey(this.#wireguardKeyFile);
    } catch (error) {
      return { problem: TwillError.from(error).message };
    }
  }
}

const NOBODY: NodeIdentity = { vtepMac: NO_VTEP, vtepMacV6: NO_VTEP };
