/**
 * The gRPC server on a listening socket of our own: grpc-js offers no backlog (511 is too
 * few for a fleet), no admission, and no way to end one agent's connection (fanout-notes 1,
 * 4, 10). Connections are handed over through its injector.
 */
import { createServer, type Server as NetServer, type Socket } from "node:net";
import {
  type ConnectionInjector,
  ResponderBuilder,
  Server,
  type ServerCredentials,
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
  ServerListenerBuilder,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import type { Clock } from "../../common/async/clock.ts";
import type { TwillError } from "../../common/errors.ts";
import { listen } from "../../common/listen.ts";
import type { HostPort } from "../../common/net/host-port.ts";
import { Admission, type AdmissionLimits } from "./admission.ts";
import { callStatus } from "./call-status.ts";
import { PeerLimits } from "./limits/peer-limits.ts";
import { sourceOf } from "./limits/source.ts";
import { TokenBuckets } from "./limits/token-buckets.ts";
import { type PeerCertificate, readPeerCertificate } from "./tls/peer-certificate.ts";
import { Renewals } from "./tls/renewals.ts";

const BACKLOG = 4096;
/** From its turn to the first call; handshakes included, waiting for the turn not. */
const FIRST_CALL_MS = 10_000;
/**
 * What grpc-js refuses by itself, without saying in our words what was wrong; the services
 * refuse less (agent-message.ts).
 */
const MAX_MESSAGE_BYTES = 1024 * 1024;
/** Of what nghttp2 keeps for one connection; the largest answer is a status of thousands of nodes. */
const MAX_SESSION_MEGABYTES = 32;
const WAITING = { waiting: 16_384, waitingOfOne: 8192 } as const;
export const TLS_ADMISSION: AdmissionLimits = { inFlight: 64, inFlightOfOne: 16, ...WAITING };
export const PLAIN_ADMISSION: AdmissionLimits = { inFlight: 256, inFlightOfOne: 128, ...WAITING };
/**
 * Handshakes from one address that come to nothing. Who gets as far as a call costs nothing, so
 * that a thousand agents behind one address are none the worse.
 */
const VAIN_HANDSHAKES = { burst: 256, perSecond: 50 } as const;
/** How long the reason may take to reach a peer whose connection is one too many. */
const FAREWELL_MS = 200;

export interface Service {
  readonly definition: ServiceDefinition;
  readonly implementation: UntypedServiceImplementation;
}

export interface GrpcServerOptions {
  readonly listen: HostPort;
  readonly credentials: ServerCredentials;
  readonly admission: AdmissionLimits;
  /** Asked at every call, before anything of it is read; undefined: it may. */
  readonly refusalOf: (peer: ConnectedPeer) => TwillError | undefined;
  readonly clock: Pick<Clock, "monotonicMs">;
  /** Somebody was held back, and by which limit. */
  readonly limited: (limit: string, source: string) => void;
}

/** The other end of a connection that has made a call. */
export interface ConnectedPeer {
  /** "address:port", as grpc-js prints it. */
  readonly address: string;
  /** undefined: plaintext. */
  readonly certificate: PeerCertificate | undefined;
}

export class GrpcServer {
  readonly #options: GrpcServerOptions;
  readonly #server: Server;
  readonly #injector: ConnectionInjector;
  readonly #sockets = new Map<string, Socket>();
  readonly #peers = new Map<string, ConnectedPeer>();
  readonly #renewals = new Renewals();
  readonly #limits = new PeerLimits();
  readonly #handshakes = new TokenBuckets(VAIN_HANDSHAKES);
  readonly #admission: Admission<Socket>;
  readonly #net: NetServer;

  constructor(options: GrpcServerOptions) {
    this.#options = options;
    this.#admission = new Admission(options.admission);
    this.#server = new Server({
      "grpc.keepalive_time_ms": 4000,
      "grpc.keepalive_timeout_ms": 6000,
      // Another replica passes all its registrations on through one connection.
      "grpc.max_concurrent_streams": 100,
      "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
      "grpc-node.max_session_memory": MAX_SESSION_MEGABYTES,
      "grpc.enable_channelz": 0,
      interceptors: [this.#guardCalls()],
    });
    this.#injector = this.#server.createConnectionInjector(options.credentials);
    this.#net = createServer({ noDelay: true }, (socket) => this.#accept(socket));
  }

  /** For services that add themselves (health, reflection). */
  get server(): Pick<Server, "addService"> {
    return this.#server;
  }

  addService({ definition, implementation }: Service): void {
    this.#server.addService(definition, implementation);
  }

  /** Listens; throws LISTEN_FAILED when the address cannot be had. */
  async start(): Promise<HostPort> {
    const where = this.#options.listen;
    return { host: where.host, port: await listen(this.#net, where, BACKLOG) };
  }

  /** Everybody who has made a call and is still connected. */
  get peers(): Iterable<ConnectedPeer> {
    return [...this.#peers.values()].map((peer) => this.#renewals.asRenewed(peer));
  }

  /** Ends the connection of a peer that does not read; nothing gentler frees its memory. */
  cutOff(peer: string): void {
    this.#sockets.get(peer)?.destroy();
  }

  /** Stops listening and ends every connection. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#net.close(() => resolve()));
    for (const socket of this.#sockets.values()) socket.destroy();
    this.#injector.destroy();
    this.#server.forceShutdown();
    await closed;
  }

  #accept(socket: Socket): void {
    const peer = peerOf(socket.remoteAddress, socket.remotePort);
    this.#sockets.set(peer, socket);
    socket.on("error", () => socket.destroy());
    socket.once("close", () => {
      if (this.#sockets.get(peer) === socket) {
        this.#sockets.delete(peer);
        const certificate = this.#peers.get(peer)?.certificate;
        if (certificate !== undefined) this.#limits.closed(certificate);
        this.#renewals.closed(peer);
        this.#peers.delete(peer);
      }
      this.#settle(socket);
    });
    const source = sourceOf(socket.remoteAddress ?? "");
    switch (this.#admission.arrive(socket, source)) {
      case "enter":
        this.#enter(socket);
        return;
      case "wait":
        return;
      case "refuse":
        this.#options.limited("waiting", source);
        socket.destroy();
    }
  }

  #settle(socket: Socket): void {
    const next = this.#admission.settle(socket);
    if (next !== undefined) this.#enter(next);
  }

  #enter(socket: Socket): void {
    const source = sourceOf(socket.remoteAddress ?? "");
    if (this.#handshakes.take(source, this.#options.clock.monotonicMs()) > 0) {
      this.#options.limited("handshakes", source);
      socket.destroy();
      return;
    }
    const late = setTimeout(() => socket.destroy(), FIRST_CALL_MS);
    const over = (): void => clearTimeout(late);
    socket.once("close", over);
    socket.once("admitted", () => {
      over();
      this.#handshakes.giveBack(source);
    });
    this.#injector.injectConnection(socket);
  }

  #guardCalls(): ServerInterceptor {
    return (_method, call) => {
      const address = call.getPeer();
      const known = this.#peers.get(address);
      const peer = this.#renewals.asRenewed(known ?? peerOfCall(address, call));
      if (known === undefined) this.#arrived(peer);
      const refusal = this.#refusalOf(peer);
      if (known === undefined) this.#settled(address, refusal);
      if (known === undefined && refusal === undefined) this.#renewals.shown(peer);
      if (refusal === undefined) return new ServerInterceptingCall(call);
      const refuse = new ServerListenerBuilder()
        .withOnReceiveMetadata(() => call.sendStatus(callStatus(refusal)))
        .build();
      const responder = new ResponderBuilder().withStart((next) => next(refuse)).build();
      return new ServerInterceptingCall(call, responder);
    };
  }

  #arrived(peer: ConnectedPeer): void {
    if (!this.#sockets.has(peer.address)) return;
    this.#peers.set(peer.address, peer);
    if (peer.certificate !== undefined) this.#limits.opened(peer.certificate);
  }

  #refusalOf(peer: ConnectedPeer): TwillError | undefined {
    const refusal = this.#options.refusalOf(peer);
    if (refusal !== undefined || peer.certificate === undefined) return refusal;
    const limited = this.#limits.refusalOf(peer.certificate, this.#options.clock.monotonicMs());
    if (limited !== undefined) this.#options.limited("calls", peer.certificate.title);
    return limited;
  }

  /** The connection is in, or not worth keeping; either way another may enter. */
  #settled(address: string, refusal: TwillError | undefined): void {
    const socket = this.#sockets.get(address);
    if (socket === undefined) return;
    if (refusal === undefined) {
      socket.emit("admitted");
      this.#settle(socket);
      return;
    }
    const cut = setTimeout(() => socket.destroy(), FAREWELL_MS);
    socket.once("close", () => clearTimeout(cut));
  }
}

function peerOfCall(address: string, call: ServerInterceptingCallInterface): ConnectedPeer {
  const der = call.getAuthContext().sslPeerCertificate?.raw;
  return { address, certificate: der === undefined ? undefined : readPeerCertificate(der) };
}

/** As grpc-js prints a call's peer. */
function peerOf(address: string | undefined, port: number | undefined): string {
  return `${address ?? ""}:${port ?? 0}`;
}
