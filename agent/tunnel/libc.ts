/**
 * The C library's calls of the tunnel, by koffi. Results are as the kernel's: 0 or more, or
 * minus errno. Memory of the packet loops is passed by address (see arena.ts): measured, such a
 * call costs 0.3 µs with the system call in it, and allocates nothing.
 */
import koffi from "koffi";

type Call<Args extends readonly unknown[]> = (...args: Args) => number;

/** Symbols of the running process: glibc and musl alike. */
const libc = koffi.load(null);

const cRead: Call<[number, number, number]> = libc.func("intptr_t read(int, uintptr_t, size_t)");
const cWritev: Call<[number, number, number]> = libc.func("intptr_t writev(int, uintptr_t, int)");
const cSendmmsg: Call<[number, number, number, number]> = libc.func(
  "int sendmmsg(int, uintptr_t, unsigned int, int)",
);
const cRecvmmsg: Call<[number, number, number, number, number]> = libc.func(
  "int recvmmsg(int, uintptr_t, unsigned int, int, uintptr_t)",
);
const cSendto: Call<[number, number, number, number, number, number]> = libc.func(
  "intptr_t sendto(int, uintptr_t, size_t, int, uintptr_t, uint32_t)",
);
const cPoll: Call<[number, number, number]> = libc.func("int poll(uintptr_t, unsigned long, int)");
const cEventfd: Call<[number, number]> = libc.func("int eventfd(unsigned int, int)");
const cEventfdWrite: Call<[number, bigint]> = libc.func("int eventfd_write(int, uint64_t)");
const cIoctlBytes: Call<[number, number, Uint8Array]> = libc.func(
  "int ioctl(int, unsigned long, _Inout_ void *)",
);
const cIoctlNumber: Call<[number, number, number]> = libc.func(
  "int ioctl(int, unsigned long, unsigned long)",
);

const MSG_DONTWAIT = 0x40;
const SOCKADDR_IN_BYTES = 16;

/** Errors the loops tell apart, as results. */
export const EINTR = -4;
export const EIO = -5;
export const EAGAIN = -11;
export const EINVAL = -22;
export const EBADFD = -77;
export const EMSGSIZE = -90;

export function read(fd: number, address: number, length: number): number {
  return outcome(cRead(fd, address, length));
}

export function writev(fd: number, iovecs: number, count: number): number {
  return outcome(cWritev(fd, iovecs, count));
}

/** Sends messages in order, waiting for room; how many went before the first that did not. */
export function sendmmsg(fd: number, messages: number, count: number): number {
  return outcome(cSendmmsg(fd, messages, count, 0));
}

/** Takes what is there, at most `count` datagrams, without waiting. */
export function recvmmsg(fd: number, messages: number, count: number): number {
  return outcome(cRecvmmsg(fd, messages, count, MSG_DONTWAIT, 0));
}

/** Sends bytes at an address to the sockaddr_in at another, without waiting. */
export function sendto(fd: number, address: number, length: number, to: number): number {
  return outcome(cSendto(fd, address, length, MSG_DONTWAIT, to, SOCKADDR_IN_BYTES));
}

export function poll(pollfds: number, count: number, timeoutMs: number): number {
  return outcome(cPoll(pollfds, count, timeoutMs));
}

export function eventfd(initial: number, flags: number): number {
  return outcome(cEventfd(initial, flags));
}

export function eventfdWrite(fd: number, value: bigint): number {
  return outcome(cEventfdWrite(fd, value));
}

/** An ioctl whose argument is a structure, which the kernel may write back. */
export function ioctlBytes(fd: number, request: number, argument: Uint8Array): number {
  return outcome(cIoctlBytes(fd, request, argument));
}

/** An ioctl whose argument is a plain number. */
export function ioctlNumber(fd: number, request: number, argument: number): number {
  return outcome(cIoctlNumber(fd, request, argument));
}

/** Size of a pointer of this host. */
export function pointerBytes(): number {
  return koffi.sizeof("void *");
}

/** Where the bytes are; good as long as somebody holds them. */
export function addressOf(bytes: Uint8Array): number {
  return Number(koffi.address(bytes));
}

/** "EBUSY" for -16. */
export function errnoName(result: number): string {
  const names: Readonly<Record<string, number>> = koffi.os.errno;
  return Object.keys(names).find((name) => names[name] === -result) ?? `errno ${-result}`;
}

function outcome(result: number): number {
  return result < 0 ? -koffi.errno() : result;
}
