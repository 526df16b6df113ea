/**
 * The small HTTP server beside each daemon: /healthz and /readyz with the bodies that
 * flannel's users know (contract 2.4), and whatever else the daemon shows (/metrics,
 * /debug/state). Read-only, without authentication: bind it where that is right.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { type Health, type HealthReport, summarise } from "./health.ts";
import { closeAtOnce, listen } from "./listen.ts";
import { errorFields, type Logger } from "./log.ts";
import { formatHostPort, type HostPort } from "./net/host-port.ts";

export interface AdminResponse {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

export interface AdminRoute {
  /** "/metrics" */
  readonly path: string;
  readonly respond: () => AdminResponse | Promise<AdminResponse>;
}

export interface AdminOptions {
  readonly listen: HostPort;
  readonly health: Health;
  readonly bodies: {
    readonly live: string;
    readonly ready: string;
    readonly notReady: string;
  };
  readonly routes: readonly AdminRoute[];
  readonly logger: Logger;
}

export interface AdminServer {
  /** Where it really listens: port 0 has become a real one. */
  readonly address: HostPort;
  /** Ends every connection, also idle ones. */
  close(): Promise<void>;
}

/** Probes and scrapers are few; whoever opens more is a mistake or an attack. */
const MAX_CONNECTIONS = 64;
const REQUEST_TIMEOUT_MS = 5_000;

/** Throws LISTEN_FAILED when the address cannot be had. */
export async function startAdminServer(options: AdminOptions): Promise<AdminServer> {
  const routes = new Map(routesOf(options).map((route) => [route.path, route]));
  const server = createServer((request, response) => {
    // The client may be gone in the middle; that is its affair, not the daemon's end.
    answer(request, response, routes, options.logger).catch(() => response.destroy());
  });
  server.maxConnections = MAX_CONNECTIONS;
  server.requestTimeout = REQUEST_TIMEOUT_MS;
  server.headersTimeout = REQUEST_TIMEOUT_MS;
  server.keepAliveTimeout = REQUEST_TIMEOUT_MS;
  const port = await listen(server, options.listen);
  const address = { host: options.listen.host, port };
  options.logger.event(
    "admin.listening",
    `health and metrics on http://${formatHostPort(address)}`,
    {
      paths: [...routes.keys()].join(" "),
    },
  );
  return { address, close: () => closeAtOnce(server) };
}

function routesOf({ health, bodies, routes }: AdminOptions): AdminRoute[] {
  return [
    {
      path: "/healthz",
      respond: () => {
        const report = health.report();
        return report.isLive ? text(200, bodies.live) : text(503, summarise(report));
      },
    },
    {
      path: "/readyz",
      respond: () =>
        health.report().isReady ? text(200, bodies.ready) : text(503, bodies.notReady),
    },
    { path: "/health", respond: () => json(200, describe(health.report())) },
    ...routes,
  ];
}

/** The states behind the two answers, for people and for twillctl. */
function describe(report: HealthReport): unknown {
  return {
    live: report.isLive,
    ready: report.isReady,
    components: report.components.map(({ name, gate, state, forMs }) => ({
      name,
      gate,
      state: state.kind,
      ...(state.kind === "degraded" ? { reason: state.reason } : {}),
      for_s: Math.floor(forMs / 1000),
    })),
  };
}

export function text(status: number, body: string): AdminResponse {
  return { status, contentType: "text/plain; charset=utf-8", body };
}

export function json(status: number, value: unknown): AdminResponse {
  return { status, contentType: "application/json", body: `${JSON.stringify(value)}\n` };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  routes: ReadonlyMap<string, AdminRoute>,
  logger: Logger,
): Promise<void> {
  const path = (request.url ?? "/").split("?")[0] ?? "/";
  const { status, contentType, body } = await respond(request.method, path, routes, logger);
  response.writeHead(status, {
    "content-type": contentType,
    "content-length": Buffer.byteLength(body),
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
  });
  response.end(request.method === "HEAD" ? undefined : body);
}

async function respond(
  method: string | undefined,
  path: string,
  routes: ReadonlyMap<string, AdminRoute>,
  logger: Logger,
): Promise<AdminResponse> {
  if (method !== "GET" && method !== "HEAD") return text(405, "only GET and HEAD\n");
  const route = routes.get(path);
  if (route === undefined)
    return text(404, `no such page; there is ${[...routes.keys()].join(" ")}\n`);
  try {
    return await route.respond();
  } catch (error) {
    logger.event("admin.failed", `${path} could not be answered`, {
      key: path,
      ...errorFields(error),
    });
    return text(500, "internal error; the log says more\n");
  }
}
