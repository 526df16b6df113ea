/**
 * The libc calls that Node does not have, through koffi: sockets of AF_NETLINK and network
 * namespaces. Results are as the kernel's: 0 or more, or minus errno. Calls that can wait for
 * the kernel run on libuv's thread pool (`…OnPool`), measured as fast as a worker thread,
 * which would cost 10 MiB more (docs/kernel.md).
 */
import { constants } from "node:os";
import koffi, { type KoffiFunc } from "koffi";
import { MSG_DONTWAIT, MSG_TRUNC } from "./netlink/constants.ts";

type Call<Args extends readonly unknown[]> = KoffiFunc<(...args: Args) => number>;

/** Symbols of the running process: glibc and musl alike. */
export const libc = koffi.load(null);

const cSocket: Call<[number, number, number]> = libc.func("int socket(int, int, int)");
const cBind: Call<[number, Uint8Array, number]> = libc.func(
  "int bind(int, const void *, uint32_t)",
);
const cSetsockopt: Call<[number, number, number, Uint8Array, number]> = libc.func(
  "int setsockopt(int, int, int, const void *, uint32_t)",
);
const cConnect: Call<[number, Uint8Array, number]> = libc.func(
  "int connect(int, const void *, uint32_t)",
);
const cSend: Call<[number, Uint8Array, number, number]> = libc.func(
  "intptr_t send(int, const void *, size_t, int)",
);
const cRecv: Call<[number, Uint8Array, number, number]> = libc.func(
  "intptr_t recv(int, void *, size_t, int)",
);
const cIoctl: Call<[number, number, Uint8Array]> = libc.func(
  "int ioctl(int, unsigned long, void *)",
);
const cSetns: Call<[number, number]> = libc.func("int setns(int, int)");

export function socket(family: number, type: number, protocol: number): number {
  return outcome(cSocket(family, type, protocol));
}

export function bind(fd: number, address: Uint8Array): number {
  return outcome(cBind(fd, address, address.length));
}

/** Names the peer of a datagram socket, which then hears nobody else. */
export function connect(fd: number, address: Uint8Array): number {
  return outcome(cConnect(fd, address, address.length));
}

/** Sends now, or -EAGAIN. */
export function sendNow(fd: number, bytes: Uint8Array): number {
  return outcome(cSend(fd, bytes, bytes.length, MSG_DONTWAIT));
}

export function setsockopt(fd: number, level: number, name: number, value: Uint8Array): number {
  return outcome(cSetsockopt(fd, level, name, value, value.length));
}

/** Moves the calling thread, and nothing else, into the namespace. */
export function setns(fd: number, type: number): number {
  return outcome(cSetns(fd, type));
}

/** Sends the first `length` bytes; `bytes` must stay untouched until then. */
export function sendOnPool(fd: number, bytes: Uint8Array, length: number): Promise<number> {
  return onPool((done) => cSend.async(fd, bytes, length, 0, done));
}

/** Waits for one datagram, at most as long as the socket's SO_RCVTIMEO (then -EAGAIN). */
export function recvOnPool(fd: number, into: Uint8Array): Promise<number> {
  return onPool((done) => cRecv.async(fd, into, into.length, MSG_TRUNC, done));
}

/** Takes one datagram if there is one, else -EAGAIN. */
export function recvNow(fd: number, into: Uint8Array): number {
  return outcome(cRecv(fd, into, into.length, MSG_TRUNC | MSG_DONTWAIT));
}

/** The kernel may write into `argument`, and into memory that it points to. */
export function ioctlOnPool(fd: number, request: number, argument: Uint8Array): Promise<number> {
  return onPool((done) => cIoctl.async(fd, request, argument, done));
}

/** Where the bytes are; good as long as somebody holds them. */
export function addressOf(bytes: Uint8Array): bigint {
  return koffi.address(bytes);
}

/**
 * Calls `onReady` when the descriptor has something to read or met an error (koffi's own type
 * hides the status). libuv stops at an error, so close the handle in `onReady` and take a new
 * one. Close it before the descriptor.
 */
export function pollReadable(fd: number, onReady: () => void): { close(): void } {
  return koffi.node.poll(fd, { readable: true }, onReady);
}

function outcome(result: number): number {
  return result < 0 ? -koffi.errno() : Number(result);
}

type PoolCall = (done: (error: unknown, result: number) => void) => void;

/** Makes the call on the thread pool, again when a signal interrupted it. */
async function onPool(call: PoolCall): Promise<number> {
  for (;;) {
    const result = await new Promise<number>((resolve, reject) => {
      call((error, returned) => {
        // koffi shows the call's errno inside this callback only.
        if (error instanceof Error) reject(error);
        else resolve(outcome(returned));
      });
    });
    if (result !== -constants.errno.EINTR) return result;
  }
}
