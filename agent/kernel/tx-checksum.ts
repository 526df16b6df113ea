/**
 * "tx-checksum-ip-generic" of a device, as `ethtool -K` switches it. Off, the kernel computes
 * the checksums of the packets in a tunnel before it wraps them: the way out where a network
 * card spoils checksums of wrapped packets (contract 7.17).
 *
 * The ioctl, because every kernel has it; ethtool's netlink family came with 5.6. It waits for
 * the lock that netlink holds, so it runs on the thread pool.
 */
import { closeSync } from "node:fs";
import { addressOf, ioctlOnPool, socket } from "./libc.ts";
import { SOCK_CLOEXEC } from "./netlink/constants.ts";
import { errnoName, refused } from "./netlink/errors.ts";
import { inNamespace } from "./netlink/open.ts";

const AF_INET = 2;
const SOCK_DGRAM = 2;
/** linux/sockios.h, linux/ethtool.h: all transmit checksums; a tunnel has the generic one only. */
const SIOCETHTOOL = 0x8946;
const ETHTOOL_GTXCSUM = 0x16;
const ETHTOOL_STXCSUM = 0x17;
/** struct ifreq: 16 bytes of name, then a pointer to struct ethtool_value, here put behind it. */
const IFREQ_BYTES = 40;
const IFNAMSIZ = 16;
const VALUE_BYTES = 8;

/** undefined: there is no such device, or it knows of no checksums. */
export async function readTxChecksum(
  name: string,
  netns: string | undefined,
): Promise<boolean | undefined> {
  const request = requestFor(name, ETHTOOL_GTXCSUM, 0);
  const result = await ask(request, netns);
  return result < 0 ? undefined : request.readUInt32LE(IFREQ_BYTES + 4) !== 0;
}

export async function setTxChecksum(
  name: string,
  on: boolean,
  netns: string | undefined,
): Promise<void> {
  const result = await ask(requestFor(name, ETHTOOL_STXCSUM, on ? 1 : 0), netns);
  if (result >= 0) return;
  throw refused(`switch tx-checksum-ip-generic of ${name}`, errnoName(-result));
}

function requestFor(name: string, command: number, value: number): Buffer {
  const request = Buffer.alloc(IFREQ_BYTES + VALUE_BYTES);
  request.write(name, 0, IFNAMSIZ - 1, "latin1");
  request.writeBigUInt64LE(addressOf(request) + BigInt(IFREQ_BYTES), IFNAMSIZ);
  request.writeUInt32LE(command, IFREQ_BYTES);
  request.writeUInt32LE(value, IFREQ_BYTES + 4);
  return request;
}

/** A device is looked for in the network namespace that the socket was made in. */
async function ask(request: Buffer, netns: string | undefined): Promise<number> {
  const fd = inNamespace(netns, () => socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (fd < 0) return fd;
  try {
    return await ioctlOnPool(fd, SIOCETHTOOL, request);
  } finally {
    closeSync(fd);
  }
}
