/**
 * One AF_NETLINK socket for requests: packed transactions and dumps, one at a time, each in
 * turn. A socket that failed in the middle is closed and the next call opens a new one, so
 * that no answer of an old request is ever taken for one of a new.
 *
 * Sending and dumping run on the thread pool, because the kernel does its work inside these
 * calls; acknowledgements are ready when the send returns and are taken at once.
 */
import { closeSync } from "node:fs";
import { constants } from "node:os";
import { recvNow, recvOnPool, sendOnPool } from "../libc.ts";
import {
  NLM_F_ACK_TLVS,
  NLM_F_CAPPED,
  NLM_F_DUMP_INTR,
  NLMSG_DONE,
  NLMSG_ERROR,
} from "./constants.ts";
import { errnoName, refused } from "./errors.ts";
import { Attributes, Message } from "./message.ts";
import { MessageWriter } from "./writer.ts";

/**
 * Messages per send. The answers to 250 fit the smallest receive buffer there is (212,992
 * bytes), those to 260 do not (measured); ours is larger, when the kernel lets us.
 */
const BATCH_MESSAGES = 200;
const SEND_BYTES = 1 << 16;
/** No message that we write is longer. */
const LONGEST_MESSAGE = 2048;
/** The kernel fills at most 32 KiB per datagram of a dump, more only for one huge link. */
const RECEIVE_BYTES = 1 << 16;
/** A dump is read again when the kernel's table changed under way, but not for ever. */
const DUMP_ATTEMPTS = 5;
const NLMSGERR_ATTR_MSG = 1;
const { EAGAIN } = constants.errno;

export interface Requests {
  readonly count: number;
  /** Writes request `index`, whose sequence number is `seq`, as exactly one message. */
  encode(writer: MessageWriter, index: number, seq: number): void;
  /** Sees what is answered besides acknowledgements. */
  onMessage?(message: Message): void;
}

/** A request that the kernel refused. */
export interface Refusal {
  readonly index: number;
  readonly errno: string;
  readonly sentence: string;
}

export interface Dump<Row> {
  /** For errors: "list routes". */
  readonly what: string;
  encode(writer: MessageWriter, seq: number): void;
  /** undefined: not one of those wanted. */
  decode(message: Message): Row | undefined;
  /** An error that means that there is nothing to list (a table that was never made). */
  readonly emptyWhen?: string;
}

/** One dump under way. */
interface Reading<Row> {
  readonly rows: Row[];
  consistent: boolean;
  complete: boolean;
}

export class NetlinkSocket implements AsyncDisposable {
  readonly #open: () => number;
  readonly #writer = new MessageWriter(SEND_BYTES);
  readonly #message = new Message(RECEIVE_BYTES);
  readonly #attributes = new Attributes();
  #fd: number | undefined;
  #seq = 0;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(open: () => number) {
    this.#open = open;
  }

  /**
   * Sends all requests, in order and in packed batches, and returns the refusals; one refusal
   * does not stop the rest. Rejects when the socket fails; then some may have been made.
   */
  transact(requests: Requests, signal: AbortSignal): Promise<readonly Refusal[]> {
    return this.#inTurn(signal, async (fd) => {
      const refusals: Refusal[] = [];
      for (let index = 0; index < requests.count; ) {
        signal.throwIfAborted();
        index = await this.#batch(fd, requests, index, refusals);
      }
      return refusals;
    });
  }

  /** Rows of one dump, read again when the kernel says that it was not consistent. */
  dump<Row>(dump: Dump<Row>, signal: AbortSignal): Promise<Row[]> {
    return this.#inTurn(signal, async (fd) => {
      for (let attempt = 0; attempt < DUMP_ATTEMPTS; attempt += 1) {
        const rows = await this.#dumpOnce(fd, dump, signal);
        if (rows !== undefined) return rows;
      }
      throw refused(dump.what, "EINTR", `it changed under way ${DUMP_ATTEMPTS} times`);
    });
  }

  /** Waits for what is under way, then closes. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#turn;
    this.#close();
  }

  #inTurn<T>(signal: AbortSignal, use: (fd: number) => Promise<T>): Promise<T> {
    const mine = this.#turn.then(async () => {
      signal.throwIfAborted();
      try {
        this.#fd ??= this.#open();
        return await use(this.#fd);
      } catch (error) {
        this.#close();
        throw error;
      }
    });
    this.#turn = mine.catch(() => undefined);
    return mine;
  }

  #close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }

  /** Sends requests from `first` on, as many as one send may hold; returns the next index. */
  async #batch(
    fd: number,
    requests: Requests,
    first: number,
    refusals: Refusal[],
  ): Promise<number> {
    const writer = this.#writer;
    writer.clear();
    const firstSeq = this.#seq + 1;
    let next = first;
    for (; next < requests.count && hasRoom(writer); next += 1) {
      requests.encode(writer, next, this.#nextSeq());
    }
    const last = this.#seq;
    writer.requestAck();
    await this.#send(fd);
    for (;;) {
      const message = await this.#receive(fd);
      while (message.next()) {
        if (message.type !== NLMSG_ERROR) {
          requests.onMessage?.(message);
          continue;
        }
        const error = this.#errorOf(message);
        const index = first + ((message.seq - firstSeq) >>> 0);
        if (error !== undefined && index < next) refusals.push({ index, ...error });
        if (message.seq === last) return next;
      }
    }
  }

  /** undefined: the table changed under way. */
  async #dumpOnce<Row>(
    fd: number,
    dump: Dump<Row>,
    signal: AbortSignal,
  ): Promise<Row[] | undefined> {
    const reading: Reading<Row> = { rows: [], consistent: true, complete: false };
    const seq = this.#nextSeq();
    this.#writer.clear();
    dump.encode(this.#writer, seq);
    await this.#send(fd);
    while (!reading.complete) {
      signal.throwIfAborted();
      this.#load(await recvOnPool(fd, this.#message.bytes), dump.what);
      while (this.#message.next()) {
        if (this.#message.seq === seq) this.#read(reading, dump);
      }
    }
    return reading.consistent ? reading.rows : undefined;
  }

  #read<Row>(reading: Reading<Row>, dump: Dump<Row>): void {
    const message = this.#message;
    if ((message.flags & NLM_F_DUMP_INTR) !== 0) reading.consistent = false;
    if (message.type === NLMSG_DONE || message.type === NLMSG_ERROR) {
      reading.complete = true;
      const error = this.#errorOf(message);
      if (error === undefined || error.errno === dump.emptyWhen) return;
      throw refused(dump.what, error.errno, error.sentence);
    }
    const row = dump.decode(message);
    if (row !== undefined) reading.rows.push(row);
  }

  async #send(fd: number): Promise<void> {
    const sent = await sendOnPool(fd, this.#writer.bytes, this.#writer.length);
    if (sent < 0) throw refused("ask the kernel", errnoName(-sent));
  }

  /** The next datagram; it is normally there already. */
  async #receive(fd: number): Promise<Message> {
    const ready = recvNow(fd, this.#message.bytes);
    const length = ready === -EAGAIN ? await recvOnPool(fd, this.#message.bytes) : ready;
    this.#load(length, "read the kernel's answer");
    return this.#message;
  }

  #load(length: number, what: string): void {
    if (length < 0) throw refused(what, errnoName(-length));
    if (length === 0) throw refused(what, "ENODATA", "an empty answer");
    if (length > this.#message.bytes.length) {
      throw refused(what, "EMSGSIZE", `an answer of ${length} bytes`);
    }
    this.#message.load(length);
  }

  /** What an NLMSG_ERROR or NLMSG_DONE says; undefined: all is well. */
  #errorOf(message: Message): Omit<Refusal, "index"> | undefined {
    if (message.bodyLength < 4) return undefined;
    const errno = -message.i32(0);
    if (errno <= 0) return undefined;
    return { errno: errnoName(errno), sentence: this.#sentenceOf(message) };
  }

  /** The extended ack follows errno and the header, or the whole, of the refused request. */
  #sentenceOf(message: Message): string {
    if ((message.flags & NLM_F_ACK_TLVS) === 0) return "";
    const capped = (message.flags & NLM_F_CAPPED) !== 0;
    const dump = message.type === NLMSG_DONE;
    if (!dump && message.bodyLength < 20) return "";
    const skip = dump ? 4 : 20 + (capped ? 0 : Math.max(0, message.u32(4) - 16));
    return message.attributes(skip, this.#attributes).text(NLMSGERR_ATTR_MSG) ?? "";
  }

  #nextSeq(): number {
    this.#seq = (this.#seq + 1) >>> 0;
    return this.#seq;
  }
}

function hasRoom(writer: MessageWriter): boolean {
  return writer.count < BATCH_MESSAGES && writer.length < SEND_BYTES - LONGEST_MESSAGE;
}
