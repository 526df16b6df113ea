/**
 * The raw socket for ICMP errors. flannel writes them to its TUN, where Linux drops them: they
 * come from a local address through a device, which is a martian source (ip-sysctl,
 * accept_local). Sent from here they leave as the node's own and arrive.
 */
import { TwillError } from "../../common/errors.ts";
import { socket } from "../kernel/libc.ts";
import { errnoName } from "./libc.ts";

const AF_INET = 2;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0o2000000;
/** Packets are given with their IP header (raw(7)). */
const IPPROTO_RAW = 255;

/** Opens it; it never receives. */
export function openIcmpSocket(): number {
  const fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
  if (fd >= 0) return fd;
  const reason = errnoName(fd);
  const hint = reason === "EPERM" ? ": CAP_NET_RAW is needed" : "";
  throw new TwillError("KERNEL_REFUSED", `cannot open a raw socket: ${reason}${hint}`, {
    context: { errno: reason },
  });
}
