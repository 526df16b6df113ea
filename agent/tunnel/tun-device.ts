/**
 * The TUN device: made when it is not there, adopted when an earlier run left it. It is
 * persistent, so that the device, its addresses and its routes outlive the process and a restart
 * costs only the time nobody reads from it.
 */
import { closeSync, constants, openSync } from "node:fs";
import { TwillError } from "../../common/errors.ts";
import { errnoName, ioctlBytes, ioctlNumber } from "./libc.ts";
import { VIRTIO_HEADER_BYTES } from "./packet/virtio-header.ts";

// linux/if_tun.h; the numbers are the same on x86-64 and arm64.
const TUNSETIFF = 0x400454ca;
const TUNSETPERSIST = 0x400454cb;
const TUNSETOFFLOAD = 0x400454d0;
const TUNSETVNETHDRSZ = 0x400454d8;
const IFF_TUN = 0x0001;
const IFF_NO_PI = 0x1000;
const IFF_VNET_HDR = 0x4000;
const IFREQ_BYTES = 40;
const IFNAMSIZ = 16;
const OFFLOAD_CHECKSUM = 0x01;
const OFFLOAD_TSO4 = 0x02;
const OFFLOAD_TSO_ECN = 0x08;
const OFFLOAD_USO4_AND_USO6 = 0x60;
const CLONE_DEVICE = "/dev/net/tun";

export interface TunDevice {
  readonly fd: number;
  /** The kernel takes and gives UDP super-segments (6.2 and later). */
  readonly hasUdpSegmentation: boolean;
}

/** Opens the device of this name; `offloads` false keeps every packet as small as the MTU. */
export function openTunDevice(name: string, offloads: boolean): TunDevice {
  if (!/^[^/\s]{1,15}$/.test(name)) {
    throw new TwillError("OPTION_INVALID", `"${name}" is no device name: 1 to 15 characters`);
  }
  const fd = openClone();
  try {
    attach(fd, name);
    set(fd, name, TUNSETPERSIST, 1);
    const size = new Uint8Array(new Uint32Array([VIRTIO_HEADER_BYTES]).buffer);
    const sized = ioctlBytes(fd, TUNSETVNETHDRSZ, size);
    if (sized < 0) throw refused(name, "set its header size", sized);
    return { fd, hasUdpSegmentation: setOffloads(fd, name, offloads) };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function openClone(): number {
  try {
    return openSync(CLONE_DEVICE, constants.O_RDWR | constants.O_NONBLOCK);
  } catch (error) {
    throw noTun(error);
  }
}

function noTun(cause: unknown): TwillError {
  return new TwillError(
    "KERNEL_UNSUPPORTED",
    `cannot open ${CLONE_DEVICE}: load the module (modprobe tun), and give a container the device`,
    { cause },
  );
}

function attach(fd: number, name: string): void {
  const request = Buffer.alloc(IFREQ_BYTES);
  request.write(name, 0, IFNAMSIZ - 1, "latin1");
  request.writeUInt16LE(IFF_TUN | IFF_NO_PI | IFF_VNET_HDR, IFNAMSIZ);
  const attached = ioctlBytes(fd, TUNSETIFF, request);
  if (attached >= 0) return;
  switch (errnoName(attached)) {
    case "EBUSY":
      throw new TwillError(
        "DEVICE_FOREIGN",
        `another process holds ${name}: stop it (flanneld? a second agent?)`,
        { context: { device: name } },
      );
    case "EINVAL":
      throw new TwillError(
        "DEVICE_FOREIGN",
        `a device ${name} exists that is no TUN of ours: rename it, or delete it with "ip link del ${name}"`,
        { context: { device: name } },
      );
    default:
      throw refused(name, "create or adopt it", attached);
  }
}

/** Returns whether UDP segmentation is on; older kernels do without it. */
function setOffloads(fd: number, name: string, offloads: boolean): boolean {
  const tcp = OFFLOAD_CHECKSUM | OFFLOAD_TSO4 | OFFLOAD_TSO_ECN;
  if (!offloads) set(fd, name, TUNSETOFFLOAD, 0);
  else if (ioctlNumber(fd, TUNSETOFFLOAD, tcp | OFFLOAD_USO4_AND_USO6) >= 0) return true;
  else set(fd, name, TUNSETOFFLOAD, tcp);
  return false;
}

function set(fd: number, name: string, request: number, value: number): void {
  const result = ioctlNumber(fd, request, value);
  if (result < 0) throw refused(name, "set it up", result);
}

function refused(name: string, what: string, error: number): TwillError {
  const reason = errnoName(error);
  const hint = reason === "EPERM" ? ": CAP_NET_ADMIN is needed" : "";
  return new TwillError("KERNEL_REFUSED", `TUN device ${name}: cannot ${what}: ${reason}${hint}`, {
    context: { device: name, errno: reason },
  });
}
