/** Opens AF_NETLINK sockets as the agent wants them, on request in another network namespace. */
import { closeSync, openSync } from "node:fs";
import { TwillError } from "../../../common/errors.ts";
import { bind, setns, setsockopt, socket } from "../libc.ts";
import {
  AF_NETLINK,
  CLONE_NEWNET,
  SO_RCVBUFFORCE,
  SO_RCVTIMEO,
  SOCK_CLOEXEC,
  SOCK_RAW,
  SOCKOPT,
  SOL_NETLINK,
  SOL_SOCKET,
} from "./constants.ts";
import { errnoName, refused } from "./errors.ts";

export interface NetlinkOptions {
  readonly protocol: number;
  /** Multicast groups to hear. */
  readonly groups: readonly number[];
  /** Room for what the kernel sends; beyond it messages are lost (ENOBUFS). */
  readonly receiveBytes: number;
  /** Path of another network namespace ("/run/netns/NAME"); default: the process's own. */
  readonly netns?: string | undefined;
}

/** A receive gives up after this long: the kernel answers at once or never. */
const ANSWER_TIMEOUT_S = 5;

/** Returns the descriptor; the caller closes it. */
export function openNetlink(options: NetlinkOptions): number {
  return inNamespace(options.netns, () => openHere(options));
}

function openHere({ protocol, groups, receiveBytes }: NetlinkOptions): number {
  const fd = check("open a netlink socket", socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
  try {
    // Errors without the request they are about, with the kernel's own sentence, and dumps
    // that the kernel filters (old kernels lack an option: then we filter, or see no sentence).
    setsockopt(fd, SOL_NETLINK, SOCKOPT.CAP_ACK, int32(1));
    setsockopt(fd, SOL_NETLINK, SOCKOPT.EXT_ACK, int32(1));
    setsockopt(fd, SOL_NETLINK, SOCKOPT.GET_STRICT_CHK, int32(1));
    check("size a netlink socket", setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, int32(receiveBytes)));
    check("time a netlink socket", setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, ANSWER_TIMEOUT));
    check("bind a netlink socket", bind(fd, OWN_ADDRESS));
    for (const group of groups) {
      const joined = setsockopt(fd, SOL_NETLINK, SOCKOPT.ADD_MEMBERSHIP, int32(group));
      check(`hear netlink group ${group}`, joined);
    }
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/**
 * What is made belongs to the namespace in which it is made, so the thread goes there for that
 * moment only: `make` must not be asynchronous. `netns` undefined: the process's own.
 */
export function inNamespace<T>(netns: string | undefined, make: () => T): T {
  if (netns === undefined) return make();
  const home = openSync("/proc/thread-self/ns/net", "r");
  try {
    const away = openNamespace(netns);
    try {
      check(`enter network namespace ${netns}`, setns(away, CLONE_NEWNET));
      try {
        return make();
      } finally {
        // Going on in the wrong namespace would program the wrong machine.
        if (setns(home, CLONE_NEWNET) < 0) process.abort();
      }
    } finally {
      closeSync(away);
    }
  } finally {
    closeSync(home);
  }
}

function openNamespace(path: string): number {
  try {
    return openSync(path, "r");
  } catch (error) {
    throw new TwillError("KERNEL_REFUSED", `there is no network namespace ${path}`, {
      cause: error,
      context: { errno: "ENOENT" },
    });
  }
}

function check(what: string, result: number): number {
  if (result < 0) throw refused(what, errnoName(-result));
  return result;
}

function int32(value: number): Uint8Array {
  return new Uint8Array(Int32Array.of(value).buffer);
}

/** struct timeval: two longs. */
const ANSWER_TIMEOUT = new Uint8Array(BigInt64Array.of(BigInt(ANSWER_TIMEOUT_S), 0n).buffer);

/** struct sockaddr_nl with port 0: the kernel chooses one for us. */
const OWN_ADDRESS = new Uint8Array(Uint16Array.of(AF_NETLINK, 0, 0, 0, 0, 0).buffer);
