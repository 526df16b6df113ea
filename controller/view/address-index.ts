/** Lease keys by public address: a registration asks for them, and ten thousand must not scan. */
import type { Lease, LeaseAttrs } from "../../common/lease/lease.ts";
import { formatIp, type Ip } from "../../common/net/ip.ts";

export class AddressIndex {
  readonly #keys = new Map<string, Set<string>>();

  add(lease: Lease): void {
    for (const address of addresses(lease.attrs)) {
      const keys = this.#keys.get(address);
      if (keys === undefined) this.#keys.set(address, new Set([lease.key]));
      else keys.add(lease.key);
    }
  }

  remove(lease: Lease): void {
    for (const address of addresses(lease.attrs)) {
      const keys = this.#keys.get(address);
      keys?.delete(lease.key);
      if (keys?.size === 0) this.#keys.delete(address);
    }
  }

  keys(ip: Ip): readonly string[] {
    return [...(this.#keys.get(formatIp(ip)) ?? [])];
  }
}

function addresses({ publicIp, publicIpv6 }: LeaseAttrs): readonly string[] {
  return [publicIp, publicIpv6].filter((ip) => ip !== undefined).map(formatIp);
}
