/**
 * The far end of a netlink socket, played by the test: a socket pair whose near end is given to
 * the code under test as if it came from socket(AF_NETLINK). What Linux does rarely (a dump that
 * changes under way, a reply for somebody else) is done here on purpose.
 */
import assert from "node:assert/strict";
import { closeSync } from "node:fs";
import koffi, { type KoffiFunc } from "koffi";
import structs from "netlink/dist/structs.js";
import { recvOnPool, sendOnPool } from "../../agent/kernel/libc.ts";

const AF_UNIX = 1;
const SOCK_SEQPACKET = 5;
const CAPACITY_BYTES = 1 << 17;

const socketpair: KoffiFunc<
  (family: number, type: number, protocol: number, fds: number[]) => number
> = koffi.load(null).func("int socketpair(int, int, int, _Out_ int *)");

export class ScriptedNetlink implements Disposable {
  /** Sockets opened so far. */
  opened = 0;
  #far: number | undefined;
  #refusals = 0;

  /** For the code under test: a new pair each time, the last one is scripted. */
  readonly open = (): number => {
    if (this.#refusals > 0) {
      this.#refusals -= 1;
      throw new Error("no socket today");
    }
    const fds = [0, 0];
    assert.equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
    const [near = -1, far = -1] = fds;
    this.#closeFar();
    this.#far = far;
    this.opened += 1;
    return near;
  };

  /** The next `times` calls of `open` fail. */
  refuseToOpen(times: number): void {
    this.#refusals = times;
  }

  /** Waits for one send of the code under test; its messages. */
  async request(): Promise<structs.NetlinkMessage[]> {
    const bytes = Buffer.alloc(CAPACITY_BYTES);
    assert.ok(this.#far !== undefined, "no socket was opened");
    const length = await recvOnPool(this.#far, bytes);
    assert.ok(length >= 0, `recv: ${length}`);
    return structs.parseMessages(bytes.subarray(0, length));
  }

  /** Sends one datagram. */
  async send(...messages: readonly Buffer[]): Promise<void> {
    const bytes = Buffer.concat(messages);
    assert.ok(this.#far !== undefined, "no socket was opened");
    assert.equal(await sendOnPool(this.#far, bytes, bytes.length), bytes.length);
  }

  /** The code under test meets an end of file, or a broken pipe. */
  hangUp(): void {
    this.#closeFar();
  }

  [Symbol.dispose](): void {
    this.#closeFar();
  }

  #closeFar(): void {
    if (this.#far !== undefined) closeSync(this.#far);
    this.#far = undefined;
  }
}
