/**
 * A gRPC call made by hand over HTTP/2, for what no client would do: bytes that are no message,
 * lengths that lie, a connection from another address of this machine.
 */
import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import { type ConnectionOptions, connect as connectTls } from "node:tls";
import { parseHostPort } from "../../common/net/host-port.ts";
import type { KeyPair } from "../../common/pki/authority.ts";

export interface RawCaller {
  readonly ca: string;
  readonly pair: KeyPair;
  /** Another address of this machine to call from. */
  readonly from?: string;
}

/** How a call ended: gRPC's status and our code, "" where there is none. */
export interface RawEnd {
  readonly status: string;
  readonly code: string;
  readonly message: string;
}

const PATIENCE_MS = 20_000;

export class RawLine implements Disposable {
  readonly #session: ClientHttp2Session;

  constructor(address: string, { ca, pair, from }: RawCaller) {
    const target = parseHostPort(address);
    if (target === undefined) throw new Error(`${address} is no address`);
    // The types of connectTls leave out what net.connect takes besides.
    const options: ConnectionOptions & { localAddress?: string } = {
      ...{ ...target, ca, cert: pair.certificatePem, key: pair.keyPem, ALPNProtocols: ["h2"] },
      ...(from === undefined ? {} : { localAddress: from }),
    };
    this.#session = connectHttp2(`https://${address}`, {
      createConnection: () => connectTls(options),
    });
    this.#session.on("error", () => undefined);
  }

  /** Sends these bytes as a whole request; resolves at the end of the call. */
  ask(path: string, body: Uint8Array): Promise<RawEnd> {
    return this.#call(path, [body], true);
  }

  /** Sends these bytes on a stream and leaves it open; resolves when the other side ends it. */
  call(path: string, ...body: readonly Uint8Array[]): Promise<RawEnd> {
    return this.#call(path, body, false);
  }

  #call(path: string, body: readonly Uint8Array[], isWhole: boolean): Promise<RawEnd> {
    const stream = this.#session.request({
      ...{ ":method": "POST", ":path": path, "content-type": "application/grpc", te: "trailers" },
    });
    return new Promise<RawEnd>((resolve) => {
      const end = { status: "", code: "", message: "" };
      const take = (headers: Record<string, unknown>): void => {
        end.status ||= textOf(headers["grpc-status"]);
        end.code ||= textOf(headers["twill-code"]);
        end.message ||= decodeURIComponent(textOf(headers["grpc-message"]));
      };
      const last = (headers: Record<string, unknown>): void => {
        take(headers);
        // This side may stay open; the call is over all the same.
        if (end.status !== "") stream.close();
      };
      stream.on("response", last);
      stream.on("trailers", last);
      stream.on("data", () => undefined);
      stream.on("error", () => undefined);
      stream.on("close", () => resolve(end));
      stream.setTimeout(PATIENCE_MS, () => stream.destroy());
      for (const bytes of body) stream.write(bytes);
      if (isWhole) stream.end();
    });
  }

  [Symbol.dispose](): void {
    this.#session.destroy();
  }
}

/** A message with gRPC's prefix; `length` may lie. */
export function framed(message: Uint8Array, length = message.length): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, message]);
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}
