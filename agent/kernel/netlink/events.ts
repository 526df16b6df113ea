/**
 * One AF_NETLINK socket that hears multicast groups. It lives through overflow (ENOBUFS), which
 * it reports as loss, and through a broken socket, which it opens anew.
 */
import { closeSync } from "node:fs";
import { constants } from "node:os";
import { pollReadable, recvNow } from "../libc.ts";
import { Message } from "./message.ts";

export interface EventHandlers {
  /** One message; the cursor is only valid during the call. */
  message(message: Message): void;
  /** Messages were lost. */
  lost(): void;
  /** All that had come was delivered. */
  drained?(): void;
}

/** After so many datagrams the rest of the process gets its turn. */
const DATAGRAMS_PER_TURN = 512;
const RECEIVE_BYTES = 1 << 16;
/** A broken socket is opened again after this long, until it succeeds. */
const REOPEN_MS = 1000;
const { EAGAIN, ENOBUFS, EINTR } = constants.errno;

export class EventSocket implements Disposable {
  readonly #open: () => number;
  readonly #handlers: EventHandlers;
  readonly #message = new Message(RECEIVE_BYTES);
  #fd: number | undefined;
  #poll: ReturnType<typeof pollReadable> | undefined;
  #turn: NodeJS.Immediate | undefined;
  #reopen: NodeJS.Timeout | undefined;
  #paused = true;

  /** Hears from now on; delivers once `resume` was called. Throws when it cannot open. */
  constructor(open: () => number, handlers: EventHandlers) {
    this.#open = open;
    this.#handlers = handlers;
    this.#fd = open();
  }

  /** Delivers nothing until `resume`; the kernel's buffer keeps what comes meanwhile. */
  pause(): void {
    this.#paused = true;
    this.#stopPolling();
  }

  resume(): void {
    this.#paused = false;
    this.#startPolling();
  }

  [Symbol.dispose](): void {
    this.pause();
    if (this.#reopen !== undefined) clearTimeout(this.#reopen);
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }

  #startPolling(): void {
    if (this.#fd === undefined || this.#poll !== undefined) return;
    const onReady = (): void => {
      // Not in this very callback: what it throws would surface at some later call into Node,
      // and libuv stops a handle that met an error (POLLERR, an overflow), so that it must be
      // made anew after draining.
      this.#stopPolling();
      this.#turn = setImmediate(() => this.#drain());
    };
    this.#poll = pollReadable(this.#fd, onReady);
  }

  #stopPolling(): void {
    this.#poll?.close();
    this.#poll = undefined;
    if (this.#turn !== undefined) clearImmediate(this.#turn);
    this.#turn = undefined;
  }

  #drain(): void {
    this.#turn = undefined;
    for (let count = 0; count < DATAGRAMS_PER_TURN && !this.#paused; count += 1) {
      if (this.#fd === undefined) return;
      const length = recvNow(this.#fd, this.#message.bytes);
      if (length === -EAGAIN) break;
      this.#take(length);
    }
    if (this.#paused) return;
    this.#handlers.drained?.();
    if (!this.#paused) this.#startPolling();
  }

  #take(length: number): void {
    if (length > 0 && length <= this.#message.bytes.length) {
      this.#message.load(length);
      while (!this.#paused && this.#message.next()) this.#handlers.message(this.#message);
    } else if (length > 0 || length === -ENOBUFS) {
      this.#handlers.lost();
    } else if (length !== -EINTR) {
      this.#openAnew();
    }
  }

  #openAnew(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
    try {
      this.#fd = this.#open();
    } catch {
      this.#reopen = setTimeout(() => this.#openAnew(), REOPEN_MS);
      return;
    }
    this.#handlers.lost();
    if (!this.#paused) this.#startPolling();
  }
}
