/**
 * A TCP proxy between a client and one server, to do to a connection what networks do: cut it
 * (now, or after so many bytes), stop either direction while the connection stays open, add
 * latency, refuse new connections.
 */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

export type Direction = "up" | "down";

export interface TcpProxyTarget {
  readonly host: string;
  readonly port: number;
}

interface Link {
  readonly client: Socket;
  readonly server: Socket;
}

export class TcpProxy {
  readonly #server: Server;
  #target: TcpProxyTarget;
  readonly #links = new Set<Link>();
  readonly #paused = new Set<Direction>();
  readonly #held: { direction: Direction; from: Socket }[] = [];
  #latencyMs = 0;
  /** Of what goes to the client, in each second; 0: no limit. */
  #trickleBytes = 0;
  #refusing = false;
  #cutAfterBytes: number | undefined;
  #accepted = 0;
  #downBytes = 0;

  private constructor(server: Server, target: TcpProxyTarget) {
    this.#server = server;
    this.#target = target;
    server.on("connection", (client) => this.#accept(client));
  }

  /** Listens in front of `target`, on a free loopback port unless told otherwise. */
  static async start(
    target: TcpProxyTarget,
    listen: TcpProxyTarget = { host: "127.0.0.1", port: 0 },
  ): Promise<TcpProxy> {
    const server = createServer();
    const proxy = new TcpProxy(server, target);
    server.listen(listen.port, listen.host);
    await once(server, "listening");
    return proxy;
  }

  get port(): number {
    const address: AddressInfo | string | null = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("the proxy is closed");
    return address.port;
  }

  /** Connections accepted so far. */
  get accepted(): number {
    return this.#accepted;
  }

  /** Bytes that went to the client so far. */
  get downBytes(): number {
    return this.#downBytes;
  }

  /** Connections open now. */
  get open(): number {
    return this.#links.size;
  }

  /** Cuts every connection now. */
  cut(): void {
    for (const link of this.#links) this.#drop(link);
  }

  /** Cuts every connection once so many more bytes went to the client; only once. */
  cutAfter(bytes: number): void {
    this.#cutAfterBytes = this.#downBytes + bytes;
  }

  /** Nothing moves in these directions any more; connections stay open ("up": to the server). */
  pause(...directions: readonly Direction[]): void {
    for (const direction of directions) this.#paused.add(direction);
  }

  resume(): void {
    this.#paused.clear();
    for (const { from } of this.#held.splice(0)) from.resume();
  }

  /** Resets connections as they come in, until told otherwise. */
  refuse(refusing: boolean): void {
    this.#refusing = refusing;
  }

  /** Cuts every connection; new ones go to another server. */
  redirect(target: TcpProxyTarget): void {
    this.#target = target;
    this.cut();
  }

  /** Delay of every chunk in each direction. */
  delay(latencyMs: number): void {
    this.#latencyMs = latencyMs;
  }

  /** From now on each client gets so many bytes a second, whatever the server has to say. */
  trickle(bytesPerSecond: number): void {
    this.#trickleBytes = bytesPerSecond;
  }

  async close(): Promise<void> {
    this.cut();
    if (!this.#server.listening) return;
    this.#server.close();
    await once(this.#server, "close");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #accept(client: Socket): void {
    this.#accepted += 1;
    client.on("error", () => undefined);
    if (this.#refusing) {
      client.resetAndDestroy();
      return;
    }
    const server = connect(this.#target);
    server.on("error", () => undefined);
    const link: Link = { client, server };
    this.#links.add(link);
    for (const socket of [client, server]) {
      socket.setNoDelay(true);
      socket.once("close", () => this.#drop(link));
    }
    this.#pump("up", client, server);
    this.#pump("down", server, client);
  }

  #pump(direction: Direction, from: Socket, to: Socket): void {
    const forward = (chunk: Buffer): void => {
      if (this.#paused.has(direction)) {
        from.pause();
        this.#held.push({ direction, from });
        from.unshift(chunk);
        return;
      }
      const part = direction === "down" ? this.#count(chunk) : chunk;
      if (!to.destroyed && part.length > 0 && !to.write(part)) {
        from.pause();
        to.once("drain", () => from.resume());
      }
      if (part.length < chunk.length) this.cut();
    };
    from.on("data", (chunk: Buffer) => {
      if (this.#trickleBytes > 0 && direction === "down") this.#drip(chunk, from, to);
      else if (this.#latencyMs === 0) forward(chunk);
      else setTimeout(forward, this.#latencyMs, chunk);
    });
  }

  #drip(chunk: Buffer, from: Socket, to: Socket): void {
    from.pause();
    const drop = setInterval(() => {
      if (!to.destroyed) to.write(chunk.subarray(0, this.#trickleBytes));
      chunk = chunk.subarray(this.#trickleBytes);
      if (!to.destroyed && chunk.length > 0) return;
      clearInterval(drop);
      from.resume();
    }, 1000);
    drop.unref();
  }

  /** The part of the chunk that may still pass before the cut. */
  #count(chunk: Buffer): Buffer {
    const left = (this.#cutAfterBytes ?? Number.POSITIVE_INFINITY) - this.#downBytes;
    const part = chunk.length < left ? chunk : chunk.subarray(0, left);
    this.#downBytes += part.length;
    if (part.length < chunk.length) this.#cutAfterBytes = undefined;
    return part;
  }

  #drop(link: Link): void {
    if (!this.#links.delete(link)) return;
    link.client.resetAndDestroy();
    link.server.resetAndDestroy();
  }
}
