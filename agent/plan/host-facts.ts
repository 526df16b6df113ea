/**
 * What a planner must know of the machine it plans for: the external interface, the
 * addresses peers reach it by, and which peers are on the same link. Read from the kernel
 * by agent/host/host-facts.ts, read again when netlink says that something moved.
 */
import { type Family, type Ip, sameIp } from "../../common/net/ip.ts";

/** The interface that carries the underlay, with the address chosen of each family. */
export interface ExternalInterface {
  readonly name: string;
  readonly index: number;
  readonly mtuBytes: number;
  /** undefined when the network does not have this family. */
  readonly v4: Ip | undefined;
  readonly v6: Ip | undefined;
}

export interface HostFacts {
  readonly external: ExternalInterface;
  /** What the lease says: --public-ip, else the interface address (contract 5). */
  readonly publicIp: Ip | undefined;
  readonly publicIpv6: Ip | undefined;
  /**
   * Peers' public addresses (formatIp) that the kernel reaches without a gateway
   * (contract 3.1, DirectRouting). Filled only for backends that ask for it.
   */
  readonly direct: ReadonlySet<string>;
}

export function interfaceAddressOf(external: ExternalInterface, family: Family): Ip | undefined {
  return family === 4 ? external.v4 : external.v6;
}

export function publicAddressOf(host: HostFacts, family: Family): Ip | undefined {
  return family === 4 ? host.publicIp : host.publicIpv6;
}

const FAMILIES: readonly Family[] = [4, 6];

export function sameAddresses(a: ExternalInterface, b: ExternalInterface): boolean {
  return FAMILIES.every((family) => {
    const [x, y] = [interfaceAddressOf(a, family), interfaceAddressOf(b, family)];
    return x === undefined || y === undefined ? x === y : sameIp(x, y);
  });
}
