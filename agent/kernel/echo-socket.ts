/**
 * A raw socket for echoes to one address, which only hears that address. Its packets carry
 * "do not fragment" and ignore what path discovery has learnt: a probe of a size tells
 * whether packets of that size arrive, not what the kernel makes of them.
 */
import { closeSync } from "node:fs";
import { constants } from "node:os";
import { type Ip, ipToBytes } from "../../common/net/ip.ts";
import { connect, pollReadable, recvNow, sendNow, setsockopt, socket } from "./libc.ts";
import { AF_INET, AF_INET6, SOCK_CLOEXEC, SOCK_RAW } from "./netlink/constants.ts";
import { errnoName, refused } from "./netlink/errors.ts";

const IPPROTO = { 4: 1, 6: 58 } as const;
/** Level and name of "discover" per family; both take IP_PMTUDISC_PROBE. */
const MTU_DISCOVER = { 4: [0, 10], 6: [41, 23] } as const;
const PMTUDISC_PROBE = 3;
const RECEIVE_BYTES = 1 << 16;
const { EAGAIN } = constants.errno;

export interface EchoListener {
  /** One datagram; valid during the call only. */
  datagram(bytes: Buffer): void;
  /** What the kernel was told by somebody on the way, as an errno's name. */
  failed(errno: string): void;
}

export class EchoSocket implements Disposable {
  readonly #fd: number;
  readonly #poll: { close(): void };
  readonly #bytes = Buffer.alloc(RECEIVE_BYTES);

  /** Throws KERNEL_REFUSED when it cannot be had (CAP_NET_RAW). */
  constructor(address: Ip, listener: EchoListener) {
    const { family } = address;
    const type = SOCK_RAW | SOCK_CLOEXEC;
    const fd = socket(family === 4 ? AF_INET : AF_INET6, type, IPPROTO[family]);
    if (fd < 0) throw refused("open a raw socket", errnoName(-fd));
    this.#fd = fd;
    const [level, name] = MTU_DISCOVER[family];
    setsockopt(fd, level, name, new Uint8Array(new Int32Array([PMTUDISC_PROBE]).buffer));
    const connected = connect(fd, sockaddr(address));
    if (connected < 0) {
      closeSync(fd);
      throw refused("find a way", errnoName(-connected));
    }
    this.#poll = pollReadable(fd, () => this.#drain(listener));
  }

  /** undefined: it has left; else an errno's name. */
  send(packet: Uint8Array): string | undefined {
    const result = sendNow(this.#fd, packet);
    return result < 0 ? errnoName(-result) : undefined;
  }

  [Symbol.dispose](): void {
    this.#poll.close();
    closeSync(this.#fd);
  }

  #drain(listener: EchoListener): void {
    for (;;) {
      const length = recvNow(this.#fd, this.#bytes);
      if (length === -EAGAIN) return;
      if (length < 0) {
        listener.failed(errnoName(-length));
        return;
      }
      listener.datagram(this.#bytes.subarray(0, Math.min(length, this.#bytes.length)));
    }
  }
}

function sockaddr(address: Ip): Uint8Array {
  const bytes = Buffer.alloc(address.family === 4 ? 16 : 28);
  bytes.writeUInt16LE(address.family === 4 ? AF_INET : AF_INET6, 0);
  bytes.set(ipToBytes(address), address.family === 4 ? 4 : 8);
  return bytes;
}
