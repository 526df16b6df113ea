/**
 * WireGuard's generic netlink messages (linux/wireguard.h). A request of ours is about one
 * device or one peer; what the kernel lists comes in several messages, and one peer with many
 * subnets may be spread over two of them.
 */
import type { Cidr } from "../../../common/net/cidr.ts";
import { addressBits, type Ip, ipFromBytes, ipToBytes } from "../../../common/net/ip.ts";
import {
  isZeroKey,
  NO_KEY_BYTES,
  parseWireguardKey,
  type WireguardKey,
  wireguardKeyBytes,
  wireguardKeyFromBytes,
} from "../../../common/net/wireguard-key.ts";
import { Secret } from "../../../common/text/secret.ts";
import type { WireguardLink, WireguardPeerSpec } from "../../plan/kernel-state.ts";
import type { WireguardInfo, WireguardPeerState } from "../kernel.ts";
import { AF_INET, AF_INET6, NLM_F_DUMP } from "./constants.ts";
import { HOST_IS_LITTLE_ENDIAN } from "./layout.ts";
import { Attributes, type Message } from "./message.ts";
import type { MessageWriter } from "./writer.ts";

/** struct genlmsghdr: command, version, two bytes unused. */
const GENLMSGHDR_BYTES = 4;
const WG_VERSION = 1;
const WG_CMD = { GET_DEVICE: 0, SET_DEVICE: 1 } as const;
const DEVICE = { IFNAME: 2, PRIVATE_KEY: 3, PUBLIC_KEY: 4, LISTEN_PORT: 6, PEERS: 8 } as const;
const PEER = {
  PUBLIC_KEY: 1,
  PRESHARED_KEY: 2,
  FLAGS: 3,
  ENDPOINT: 4,
  KEEPALIVE: 5,
  LAST_HANDSHAKE: 6,
  ALLOWED_IPS: 9,
} as const;
const ALLOWED_IP = { FAMILY: 1, ADDRESS: 2, PREFIX: 3 } as const;
const PEER_REMOVE = 1;
const PEER_REPLACE_ALLOWED_IPS = 2;
/** REJECT_AFTER_TIME of the protocol: an older handshake carries no packet any more. */
const SESSION_SECONDS = 180;

const device = new Attributes();
const peer = new Attributes();
const allowedIp = new Attributes();

/** One message of a device's dump. */
export interface WireguardPage {
  readonly info: WireguardInfo;
  readonly peers: readonly Omit<WireguardPeerState, "device">[];
}

export function encodeWireguardDump(
  writer: MessageWriter,
  familyId: number,
  name: string,
  seq: number,
): void {
  writer.begin(familyId, NLM_F_DUMP, seq);
  genlmsghdr(writer, WG_CMD.GET_DEVICE);
  writer.attributeText(DEVICE.IFNAME, name);
  writer.end();
}

/** Key and port; peers are left as they are. */
export function encodeWireguardDevice(
  writer: MessageWriter,
  familyId: number,
  set: Pick<WireguardLink, "name" | "privateKey" | "listenPort">,
  seq: number,
): void {
  writer.begin(familyId, 0, seq);
  genlmsghdr(writer, WG_CMD.SET_DEVICE);
  writer.attributeText(DEVICE.IFNAME, set.name);
  writer.attributeBytes(DEVICE.PRIVATE_KEY, secretBytes(set.privateKey));
  writer.attributeU16(DEVICE.LISTEN_PORT, set.listenPort);
  writer.end();
}

/** A put makes the peer exactly this; sessions of a peer that changes so stay. */
export function encodeWireguardPeer(
  writer: MessageWriter,
  familyId: number,
  change: { readonly op: "put" | "delete"; readonly object: WireguardPeerSpec },
  seq: number,
): void {
  const { op, object } = change;
  writer.begin(familyId, 0, seq);
  genlmsghdr(writer, WG_CMD.SET_DEVICE);
  writer.attributeText(DEVICE.IFNAME, object.device);
  writer.nest(DEVICE.PEERS, () =>
    writer.nest(0, () => {
      writer.attributeBytes(PEER.PUBLIC_KEY, wireguardKeyBytes(object.publicKey));
      if (op === "delete") writer.attributeU32(PEER.FLAGS, PEER_REMOVE);
      else encodePeer(writer, object);
    }),
  );
  writer.end();
}

function encodePeer(writer: MessageWriter, spec: WireguardPeerSpec): void {
  const { presharedKey, endpoint } = spec;
  writer.attributeU32(PEER.FLAGS, PEER_REPLACE_ALLOWED_IPS);
  // A key of zeros is how one is taken away.
  const preshared = presharedKey === undefined ? NO_KEY_BYTES : secretBytes(presharedKey);
  writer.attributeBytes(PEER.PRESHARED_KEY, preshared);
  if (endpoint !== undefined) writer.attributeBytes(PEER.ENDPOINT, sockaddr(endpoint));
  writer.attributeU16(PEER.KEEPALIVE, spec.keepaliveSeconds);
  writer.nest(PEER.ALLOWED_IPS, () => {
    for (const { ip, prefix } of spec.allowed) {
      writer.nest(0, () => {
        writer.attributeU16(ALLOWED_IP.FAMILY, ip.family === 4 ? AF_INET : AF_INET6);
        writer.attributeIp(ALLOWED_IP.ADDRESS, ip);
        writer.attributeU8(ALLOWED_IP.PREFIX, prefix);
      });
    }
  });
}

/** undefined: malformed. `nowSeconds` is the wall clock's, which handshakes are stamped with. */
export function decodeWireguardPage(
  message: Message,
  nowSeconds: number,
): WireguardPage | undefined {
  if (message.bodyLength < GENLMSGHDR_BYTES) return undefined;
  const found = message.attributes(GENLMSGHDR_BYTES, device);
  const info = {
    publicKey: keyOf(found, DEVICE.PUBLIC_KEY),
    listenPort: found.u16(DEVICE.LISTEN_PORT) ?? 0,
  };
  const peers: WireguardPage["peers"][number][] = [];
  found.each(DEVICE.PEERS, peer, (one) => {
    const decoded = decodePeer(one, nowSeconds);
    if (decoded !== undefined) peers.push(decoded);
  });
  return { info, peers };
}

/** Peers of all pages; what continues on the next page is put together. */
export function joinPages(pages: readonly WireguardPage[], name: string): WireguardPeerState[] {
  const joined = new Map<WireguardKey, WireguardPeerState>();
  for (const one of pages.flatMap(({ peers }) => peers)) {
    const begun = joined.get(one.publicKey);
    joined.set(
      one.publicKey,
      begun === undefined
        ? { device: name, ...one }
        : { ...begun, allowed: [...begun.allowed, ...one.allowed] },
    );
  }
  return [...joined.values()];
}

function decodePeer(
  found: Attributes,
  nowSeconds: number,
): WireguardPage["peers"][number] | undefined {
  const publicKey = keyOf(found, PEER.PUBLIC_KEY);
  if (publicKey === undefined) return undefined;
  const preshared = keyOf(found, PEER.PRESHARED_KEY);
  const allowed: Cidr[] = [];
  found.each(PEER.ALLOWED_IPS, allowedIp, (one) => {
    const ip = one.ip(ALLOWED_IP.ADDRESS);
    const prefix = one.u8(ALLOWED_IP.PREFIX);
    if (ip === undefined || prefix === undefined || prefix > addressBits(ip.family)) return;
    allowed.push({ ip, prefix });
  });
  return {
    publicKey,
    presharedKey: preshared === undefined ? undefined : new Secret(preshared),
    endpoint: endpointOf(found.payload(PEER.ENDPOINT)),
    keepaliveSeconds: found.u16(PEER.KEEPALIVE) ?? 0,
    allowed,
    hasSession: nowSeconds - handshakeSeconds(found) < SESSION_SECONDS,
  };
}

/** A key of zeros means that there is none. */
function keyOf(found: Attributes, type: number): WireguardKey | undefined {
  const bytes = found.payload(type);
  const key = bytes === undefined ? undefined : wireguardKeyFromBytes(bytes);
  return key === undefined || isZeroKey(key) ? undefined : key;
}

/** struct __kernel_timespec: seconds, nanoseconds; zero: never. */
function handshakeSeconds(found: Attributes): number {
  const bytes = found.payload(PEER.LAST_HANDSHAKE);
  if (bytes === undefined || bytes.length < 8) return 0;
  return Number(HOST_IS_LITTLE_ENDIAN ? bytes.readBigInt64LE(0) : bytes.readBigInt64BE(0));
}

/** struct sockaddr_in or sockaddr_in6. */
function sockaddr({ ip, port }: { readonly ip: Ip; readonly port: number }): Uint8Array {
  const bytes = Buffer.alloc(ip.family === 4 ? 16 : 28);
  const af = ip.family === 4 ? AF_INET : AF_INET6;
  if (HOST_IS_LITTLE_ENDIAN) bytes.writeUInt16LE(af, 0);
  else bytes.writeUInt16BE(af, 0);
  bytes.writeUInt16BE(port, 2);
  bytes.set(ipToBytes(ip), ip.family === 4 ? 4 : 8);
  return bytes;
}

function endpointOf(bytes: Buffer | undefined): WireguardPeerSpec["endpoint"] {
  if (bytes === undefined || bytes.length < 8) return undefined;
  const af = HOST_IS_LITTLE_ENDIAN ? bytes.readUInt16LE(0) : bytes.readUInt16BE(0);
  const port = bytes.readUInt16BE(2);
  if (af === AF_INET) return { ip: ipFromBytes(bytes.subarray(4, 8)), port };
  if (af !== AF_INET6 || bytes.length < 24) return undefined;
  return { ip: ipFromBytes(bytes.subarray(8, 24)), port };
}

function secretBytes(secret: Secret): Uint8Array {
  const key = parseWireguardKey(secret.reveal());
  return key === undefined ? NO_KEY_BYTES : wireguardKeyBytes(key);
}

function genlmsghdr(writer: MessageWriter, command: number): void {
  writer.u8(command);
  writer.u8(WG_VERSION);
  writer.u16(0);
}
