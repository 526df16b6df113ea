/**
 * One gRPC call over one HTTP/2 connection of its own, by hand: thousands of them must fit
 * beside the controllers on two cores, and a full client would be what is measured (fanout
 * notes: 33 µs a delivery in grpc-js). Response headers are not read: only where frames end,
 * that the stream lives, and the messages. Anything unforeseen ends the line with a reason.
 */
import { connect as connectPlain, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";

export interface LineTls {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export interface LineOptions {
  readonly host: string;
  readonly port: number;
  /** "/twill.v1.Fabric/Sync" */
  readonly path: string;
  /** undefined: plaintext. */
  readonly tls: LineTls | undefined;
  readonly onOpen: () => void;
  readonly onMessage: (message: Buffer) => void;
  /** Once, whoever ended it. */
  readonly onEnd: (reason: string) => void;
}

const FRAME_HEADER = 9;
const GRPC_HEADER = 5;
const STREAM = 1;
const WINDOW = 65_535;
/** How much is consumed before the sender is told. */
const CREDIT = 16_384;
const TYPE = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goAway: 7, window: 8 } as const;
const FLAG = { endStream: 1, ack: 1, endHeaders: 4, padded: 8 } as const;
const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
const NOTHING: Buffer = Buffer.alloc(0);

export class Http2Line {
  readonly #options: LineOptions;
  readonly #socket: Socket;
  #rest: Buffer = NOTHING;
  #body: Buffer = NOTHING;
  #consumed = 0;
  readonly #credit = { connection: WINDOW, stream: WINDOW };
  #hasEnded = false;
  #bytesIn = 0;

  constructor(options: LineOptions) {
    this.#options = options;
    const { host, port, tls } = options;
    this.#socket =
      tls === undefined
        ? connectPlain({ host, port, noDelay: true })
        : connectTls({ host, port, ...tls, ALPNProtocols: ["h2"] });
    this.#socket.once(tls === undefined ? "connect" : "secureConnect", () => this.#open());
    this.#socket.on("data", (chunk: Buffer) => this.#hear(chunk));
    this.#socket.on("error", (error) => this.#end(error.message));
    this.#socket.on("close", () => this.#end("the connection closed"));
  }

  /** Bytes received, frames included. */
  get bytesIn(): number {
    return this.#bytesIn;
  }

  send(message: Uint8Array): void {
    if (this.#hasEnded) return;
    const length = GRPC_HEADER + message.length;
    this.#credit.connection -= length;
    this.#credit.stream -= length;
    if (Math.min(this.#credit.connection, this.#credit.stream) < 0) {
      this.#end("the controller does not read");
      return;
    }
    const bytes = Buffer.allocUnsafe(FRAME_HEADER + length);
    writeHeader(bytes, { length, type: TYPE.data, flags: 0, stream: STREAM });
    bytes[FRAME_HEADER] = 0;
    bytes.writeUInt32BE(message.length, FRAME_HEADER + 1);
    bytes.set(message, FRAME_HEADER + GRPC_HEADER);
    this.#socket.write(bytes);
  }

  close(): void {
    this.#end("closed");
  }

  #open(): void {
    const { host, port, path, tls } = this.#options;
    const headers = requestHeaders(path, `${host}:${port}`, tls !== undefined);
    const head = frame({ type: TYPE.headers, flags: FLAG.endHeaders, stream: STREAM }, headers);
    const settings = frame({ type: TYPE.settings, flags: 0, stream: 0 }, NOTHING);
    this.#socket.write(Buffer.concat([PREFACE, settings, head]));
    this.#options.onOpen();
  }

  #end(reason: string): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#socket.destroy();
    this.#options.onEnd(reason);
  }

  #hear(chunk: Buffer): void {
    this.#bytesIn += chunk.length;
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    while (bytes.length >= FRAME_HEADER && !this.#hasEnded) {
      const end = FRAME_HEADER + bytes.readUIntBE(0, 3);
      if (bytes.length < end) break;
      this.#frame(bytes[3] ?? 0, bytes[4] ?? 0, bytes.subarray(FRAME_HEADER, end));
      bytes = bytes.subarray(end);
    }
    this.#rest = bytes;
  }

  #frame(type: number, flags: number, payload: Buffer): void {
    switch (type) {
      case TYPE.data:
        this.#data(flags, payload);
        return;
      case TYPE.headers:
        if ((flags & FLAG.endStream) !== 0) this.#end("the controller ended the stream");
        return;
      case TYPE.settings:
        if ((flags & FLAG.ack) === 0) this.#reply(TYPE.settings, NOTHING);
        return;
      case TYPE.ping:
        if ((flags & FLAG.ack) === 0) this.#reply(TYPE.ping, payload);
        return;
      case TYPE.window:
        // Whichever it is for: both are granted alike by the server.
        this.#granted(payload.readUInt32BE(0));
        return;
      case TYPE.reset:
        this.#end("the controller reset the stream");
        return;
      case TYPE.goAway:
        this.#end("the controller said GOAWAY");
        return;
      default:
        return;
    }
  }

  #granted(bytes: number): void {
    this.#credit.connection += bytes;
    this.#credit.stream += bytes;
  }

  #reply(type: number, payload: Buffer): void {
    this.#socket.write(frame({ type, flags: FLAG.ack, stream: 0 }, payload));
  }

  #data(flags: number, payload: Buffer): void {
    if ((flags & FLAG.padded) !== 0) {
      this.#end("a padded frame");
      return;
    }
    this.#consumed += payload.length;
    if (this.#consumed >= CREDIT) this.#giveCredit();
    let bytes = this.#body.length === 0 ? payload : Buffer.concat([this.#body, payload]);
    while (bytes.length >= GRPC_HEADER) {
      const end = GRPC_HEADER + bytes.readUInt32BE(1);
      if (bytes.length < end) break;
      this.#options.onMessage(bytes.subarray(GRPC_HEADER, end));
      bytes = bytes.subarray(end);
    }
    this.#body = bytes;
    if ((flags & FLAG.endStream) !== 0) this.#end("the controller ended the stream");
  }

  #giveCredit(): void {
    const amount = Buffer.allocUnsafe(4);
    amount.writeUInt32BE(this.#consumed);
    this.#consumed = 0;
    const head = { type: TYPE.window, flags: 0 };
    const both = [
      frame({ ...head, stream: 0 }, amount),
      frame({ ...head, stream: STREAM }, amount),
    ];
    this.#socket.write(Buffer.concat(both));
  }
}

interface FrameHead {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
}

function frame(head: FrameHead, payload: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(FRAME_HEADER + payload.length);
  writeHeader(bytes, { ...head, length: payload.length });
  bytes.set(payload, FRAME_HEADER);
  return bytes;
}

function writeHeader(bytes: Buffer, head: FrameHead & { readonly length: number }): void {
  bytes.writeUIntBE(head.length, 0, 3);
  bytes[3] = head.type;
  bytes[4] = head.flags;
  bytes.writeUInt32BE(head.stream, 5);
}

/** HPACK without its dynamic table: indexed or literal fields only (RFC 7541 6.1, 6.2.2). */
function requestHeaders(path: string, authority: string, isTls: boolean): Buffer {
  const POST = 0x83;
  const [HTTP, HTTPS] = [0x86, 0x87];
  return Buffer.concat([
    Buffer.from([POST, isTls ? HTTPS : HTTP]),
    literal([0x04], path),
    literal([0x01], authority),
    literal([0x0f, 0x10], "application/grpc"),
    Buffer.concat([
      Buffer.from([0x00, 2]),
      Buffer.from("te"),
      Buffer.from([8]),
      Buffer.from("trailers"),
    ]),
  ]);
}

function literal(name: readonly number[], value: string): Buffer {
  return Buffer.concat([Buffer.from([...name, value.length]), Buffer.from(value)]);
}
