/**
 * The console's HTTP listener, apart from the gRPC port: the page, a snapshot and the event
 * stream. Read-only: it answers GET and HEAD, and no request changes anything. With TLS files
 * every connection needs a client certificate, and it must be an operator's; without, the
 * listener is on loopback (options.ts refuses any other address).
 */
import {
  createServer as createHttpServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { TLSSocket } from "node:tls";
import { identityOfAltNames } from "../../common/identity/identity.ts";
import { closeAtOnce, listen } from "../../common/listen.ts";
import type { HostPort } from "../../common/net/host-port.ts";
import type { Caller } from "../auth/authorize.ts";
import { readPeerCertificate } from "../rpc/tls/peer-certificate.ts";
import type { ReplicaCredentials } from "../rpc/tls/replica-credentials.ts";
import type { TlsMaterial } from "../rpc/tls/tls-material.ts";

/** Who is at the other end of a connection. */
export interface ConsolePeer {
  /** undefined: plaintext. */
  readonly caller: Caller;
  /** Why its certificate does not count (any more), asked anew each time; undefined: it does. */
  readonly distrust: () => string | undefined;
}

export interface ConsoleServerOptions {
  readonly listen: HostPort;
  readonly credentials: Pick<ReplicaCredentials, "material" | "distrustOf">;
  readonly answer: (request: IncomingMessage, response: ServerResponse, peer: ConsolePeer) => void;
}

/** People with a page open; each holds one stream and asks a little more. */
const MAX_CONNECTIONS = 128;
const REQUEST_TIMEOUT_MS = 10_000;

export interface ConsoleServer {
  /** Where it really listens: port 0 has become a real one. */
  readonly address: HostPort;
  close(): Promise<void>;
}

/** Throws LISTEN_FAILED when the address cannot be had. */
export async function startConsoleServer(options: ConsoleServerOptions): Promise<ConsoleServer> {
  const { listen: where, credentials, answer } = options;
  const handle = (request: IncomingMessage, response: ServerResponse): void =>
    answer(request, response, peerOf(request, credentials));
  const server =
    credentials.material === undefined
      ? createHttpServer(handle)
      : secureServer(credentials, handle);
  server.maxConnections = MAX_CONNECTIONS;
  server.requestTimeout = REQUEST_TIMEOUT_MS;
  server.headersTimeout = REQUEST_TIMEOUT_MS;
  const port = await listen(server, where);
  return { address: { host: where.host, port }, close: () => closeAtOnce(server) };
}

function secureServer(
  credentials: ConsoleServerOptions["credentials"],
  handle: (request: IncomingMessage, response: ServerResponse) => void,
): Server {
  const server = createHttpsServer({ requestCert: true, rejectUnauthorized: true }, handle);
  let inForce: TlsMaterial | undefined;
  const use = (): void => {
    const { material } = credentials;
    if (material === undefined || material === inForce) return;
    inForce = material;
    const { ca, certificate: cert, key } = material;
    server.setSecureContext({ ca, cert, key, minVersion: "TLSv1.2" });
  };
  use();
  // Before the handshake of each connection, so that changed files count from the next one on.
  server.prependListener("connection", use);
  return server;
}

function peerOf(
  { socket }: IncomingMessage,
  credentials: ConsoleServerOptions["credentials"],
): ConsolePeer {
  if (!(socket instanceof TLSSocket)) return { caller: undefined, distrust: () => undefined };
  const { subjectaltname, raw } = socket.getPeerCertificate();
  const certificate = readPeerCertificate(raw);
  return {
    caller: identityOfAltNames(subjectaltname),
    distrust: () => credentials.distrustOf(certificate)?.reason,
  };
}
