/**
 * The C library's calls the tunnel makes, by koffi. Buffers are passed as addresses (see
 * arena.ts): measured, a call costs 0.3 µs with the system call in it. Every function
 * returns what C returns; `errno()` belongs to the last call of this thread.
 */
import koffi from "koffi";

const libc = koffi.load(null);

type Bytes = Uint8Array;

export const read: (fd: number, address: number, length: number) => number = libc.func(
  "intptr_t read(int, uintptr_t, size_t)",
);
export const writev: (fd: number, iovecs: number, count: number) => number = libc.func(
  "intptr_t writev(int, uintptr_t, int)",
);
export const sendmmsg: (fd: number, messages: number, count: number, flags: number) => number =
  libc.func("int sendmmsg(int, uintptr_t, unsigned int, int)");
const receiveMany: (fd: number, at: number, count: number, flags: number, wait: number) => number =
  libc.func("int recvmmsg(int, uintptr_t, unsigned int, int, uintptr_t)");
const sendTo: (
  fd: number,
  at: number,
  length: number,
  flags: number,
  to: number,
  toLength: number,
) => number = libc.func("intptr_t sendto(int, uintptr_t, size_t, int, uintptr_t, uint32_t)");
export const poll: (pollfds: number, count: number, timeoutMs: number) => number = libc.func(
  "int poll(uintptr_t, unsigned long, int)",
);
export const socket: (domain: number, type: number, protocol: number) => number = libc.func(
  "int socket(int, int, int)",
);
export const bind: (fd: number, address: Bytes, length: number) => number = libc.func(
  "int bind(int, const void *, uint32_t)",
);
export const eventfd: (initial: number, flags: number) => number = libc.func(
  "int eventfd(unsigned int, int)",
);
const setsockopt: (fd: number, level: number, name: number, at: Bytes, length: number) => number =
  libc.func("int setsockopt(int, int, int, const void *, uint32_t)");
const ioctlBuffer: (fd: number, request: number, argument: Bytes) => number = libc.func(
  "int ioctl(int, unsigned long, _Inout_ void *)",
);
const writeBuffer: (fd: number, bytes: Bytes, length: number) => number = libc.func(
  "intptr_t write(int, const void *, size_t)",
);
const ioctlNumber: (fd: number, request: number, argument: number) => number = libc.func(
  "int ioctl(int, unsigned long, unsigned long)",
);

export const MSG_DONTWAIT = 0x40;

/** Sends `length` bytes at an address to the sockaddr_in at another, without waiting. */
export function sendto(fd: number, address: number, length: number, to: number): number {
  return sendTo(fd, address, length, MSG_DONTWAIT, to, 16);
}

/** Takes what is there, at most `count` datagrams, without waiting. */
export function recvmmsg(fd: number, messages: number, count: number): number {
  return receiveMany(fd, messages, count, MSG_DONTWAIT, 0);
}

export function setOption(fd: number, level: number, name: number, value: Uint8Array): number {
  return setsockopt(fd, level, name, value, value.length);
}

/** An ioctl whose argument is a structure, which the kernel may write back. */
export function ioctlWith(fd: number, request: number, argument: Uint8Array): number {
  return ioctlBuffer(fd, request, argument);
}

/** An ioctl whose argument is a plain number. */
export function ioctl(fd: number, request: number, argument: number): number {
  return ioctlNumber(fd, request, argument);
}

/** Writes eight bytes, as an eventfd wants them. */
export function writeWord(fd: number, value: bigint): number {
  return writeBuffer(fd, new Uint8Array(new BigUint64Array([value]).buffer), 8);
}

export function addressOf(bytes: Uint8Array): number {
  return Number(koffi.address(bytes));
}

export function errno(): number {
  return koffi.errno();
}

/** "EBUSY" for 16. */
export function errnoName(number: number): string {
  const names: Readonly<Record<string, number>> = koffi.os.errno;
  return Object.keys(names).find((name) => names[name] === number) ?? `errno ${number}`;
}

export const ERRNO = {
  EINTR: 4,
  EIO: 5,
  EAGAIN: 11,
  EBUSY: 16,
  EINVAL: 22,
  EMSGSIZE: 90,
} as const;
