/**
 * Which peers are on the same link: the kernel reaches them without a gateway (contract 3.1,
 * DirectRouting). The kernel is asked once per address, until routes or addresses change.
 */
import { formatIp, type Ip } from "../../common/net/ip.ts";
import type { Kernel } from "../kernel/kernel.ts";

export class DirectPeers {
  readonly #kernel: Kernel;
  #known = new Map<string, boolean>();

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /** Number of addresses that were asked for. */
  get size(): number {
    return this.#known.size;
  }

  /** Routes have changed: ask again. */
  forget(): void {
    this.#known = new Map();
  }

  /** `addresses` are all that matter now; what is known of others is forgotten. */
  async among(addresses: Iterable<Ip>, signal: AbortSignal): Promise<ReadonlySet<string>> {
    // Answers go where this moment's knowledge is: one from before a change is not kept after it.
    const before = this.#known;
    const known = new Map<string, boolean>();
    this.#known = known;
    for (const ip of addresses) {
      const text = formatIp(ip);
      known.set(text, before.get(text) ?? (await this.#isDirect(ip, signal)));
    }
    return new Set([...known].filter(([, isDirect]) => isDirect).map(([text]) => text));
  }

  async #isDirect(ip: Ip, signal: AbortSignal): Promise<boolean> {
    const route = await this.#kernel.lookUpRoute(ip, signal);
    return route !== undefined && route.gateway === undefined;
  }
}
