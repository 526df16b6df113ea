/** Leases and planner inputs for tests, from the few words that matter to a test. */
import assert from "node:assert/strict";
import type {
  NodeIdentity,
  PlannerInput,
  WireguardIdentity,
} from "../../agent/plan/backend-planner.ts";
import type { HostFacts } from "../../agent/plan/host-facts.ts";
import type {
  BackendConfig,
  VxlanBackend,
  WireguardBackend,
} from "../../common/config/backend-config.ts";
import type { NetworkConfig } from "../../common/config/network-config.ts";
import type { Lease } from "../../common/lease/lease.ts";
import { parseSubnetKey } from "../../common/lease/subnet-key.ts";
import { type Cidr, parseCidr } from "../../common/net/cidr.ts";
import { type Ip, parseIp } from "../../common/net/ip.ts";
import { type Mac, parseMac } from "../../common/net/mac.ts";
import { parseWireguardKey, type WireguardKey } from "../../common/net/wireguard-key.ts";
import { Secret } from "../../common/text/secret.ts";

export function ip(text: string): Ip {
  const parsed = parseIp(text);
  assert.ok(parsed, `"${text}" is no address`);
  return parsed;
}

export function network(text: string): Cidr {
  const parsed = parseCidr(text);
  assert.ok(parsed, `"${text}" is no network`);
  return parsed;
}

export function mac(text: string): Mac {
  const parsed = parseMac(text);
  assert.ok(parsed, `"${text}" is no MAC`);
  return parsed;
}

export interface LeaseWords {
  readonly key: string;
  readonly ip?: string;
  readonly ip6?: string;
  readonly type?: string;
  readonly data?: string;
  readonly data6?: string;
  readonly node?: string;
}

export function lease(words: LeaseWords): Lease {
  const subnets = parseSubnetKey(words.key);
  assert.ok(subnets, `"${words.key}" is no subnet key`);
  return {
    key: words.key,
    subnets,
    attrs: {
      publicIp: words.ip === undefined ? undefined : ip(words.ip),
      publicIpv6: words.ip6 === undefined ? undefined : ip(words.ip6),
      backendType: words.type ?? "vxlan",
      backendData: words.data ?? "",
      backendV6Data: words.data6 ?? "",
    },
    node: words.node ?? "",
  };
}

export function vtepData(macText: string, vni = 1): string {
  return JSON.stringify({ VNI: vni, VtepMAC: macText });
}

/** Peer number n of a vxlan network 10.244.0.0/16: subnet, address and MAC follow from n. */
export function vxlanLease(n: number, words: Partial<LeaseWords> = {}): Lease {
  const [high, low] = [n >> 8, n & 255];
  return lease({
    key: `10.${244 + high}.${low}.0-24`,
    ip: `10.99.${high}.${low}`,
    data: vtepData(numberedMac(n)),
    node: `node-${n}`,
    ...words,
  });
}

/** The same in both families. */
export function dualLease(n: number, words: Partial<LeaseWords> = {}): Lease {
  return vxlanLease(n, {
    key: `10.244.${n}.0-24&fd00:0:0:${n.toString(16)}::-64`,
    ip6: `fd99::${n.toString(16)}`,
    data6: vtepData(numberedMac(0x1000 + n)),
    ...words,
  });
}

export function numberedMac(n: number): Mac {
  const hex = n.toString(16).padStart(8, "0");
  return mac(`02:00:${(hex.match(/../g) ?? []).join(":")}`);
}

export const VXLAN: VxlanBackend = {
  type: "vxlan",
  vni: 1,
  port: 0,
  mtuBytes: undefined,
  gbp: false,
  learning: false,
  directRouting: false,
};

export function networkConfig(
  backend: BackendConfig = VXLAN,
  families: "v4" | "v6" | "dual" = "v4",
): NetworkConfig {
  const v4 = {
    network: network("10.244.0.0/16"),
    subnetLen: 24,
    subnetMin: ip("10.244.1.0"),
    subnetMax: ip("10.244.255.0"),
  };
  const v6 = {
    network: network("fd00::/48"),
    subnetLen: 64,
    subnetMin: ip("fd00:0:0:1::"),
    subnetMax: ip("fd00:0:0:ffff::"),
  };
  return {
    v4: families === "v6" ? undefined : v4,
    v6: families === "v4" ? undefined : v6,
    enableNFTables: false,
    backend,
  };
}

export const WIREGUARD: WireguardBackend = {
  type: "wireguard",
  psk: "",
  listenPort: 51820,
  listenPortV6: 51821,
  mtuBytes: undefined,
  keepaliveSeconds: 0,
  mode: "separate",
};

/** A key by number: its first bytes are the number, the rest is the same for all. */
export function numberedKey(n: number): WireguardKey {
  const bytes = Buffer.alloc(32, 7);
  bytes.writeUInt32BE(n, 0);
  const key = parseWireguardKey(bytes.toString("base64"));
  assert.ok(key);
  return key;
}

export function wireguardData(n: number, port: number | undefined): string {
  const PublicKey = numberedKey(n);
  return JSON.stringify(port === undefined ? { PublicKey } : { PublicKey, Port: port });
}

/** What a wireguard node says of itself; IPv6 as real flannel does. */
export function wireguardWords(n: number, port = 51820): Partial<LeaseWords> {
  return {
    type: "wireguard",
    data: wireguardData(n, port),
    data6: wireguardData(n, 51821),
  };
}

export const WIREGUARD_IDENTITY: WireguardIdentity = {
  privateKey: new Secret("cHJpdmF0ZSBrZXkgb2YgYSB0ZXN0LCBub25lIGF0IGE="),
  publicKey: numberedKey(1),
};

export const IDENTITY: NodeIdentity = {
  wireguard: WIREGUARD_IDENTITY,
  vtepMac: mac("7e:00:00:00:00:01"),
  vtepMacV6: mac("7e:00:00:00:00:02"),
};

/** This machine: eth0 with 10.99.0.1 and fd99::1. */
export function hostFacts(facts: Partial<HostFacts> = {}): HostFacts {
  return {
    external: { name: "eth0", index: 2, mtuBytes: 1500, v4: ip("10.99.0.1"), v6: ip("fd99::1") },
    publicIp: ip("10.99.0.1"),
    publicIpv6: ip("fd99::1"),
    direct: new Set(),
    ...facts,
  };
}

export function plannerInput(
  config: NetworkConfig = networkConfig(),
  facts: Partial<HostFacts> = {},
): PlannerInput {
  return { config, host: hostFacts(facts), identity: IDENTITY };
}
