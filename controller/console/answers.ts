/** What the console answers to each request, with the headers that keep its page to itself. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Clock } from "../../common/async/clock.ts";
import { TwillError } from "../../common/errors.ts";
import { consoleRefusal } from "./access.ts";
import type { ConsoleFeed } from "./console-feed.ts";
import type { ConsolePeer } from "./console-server.ts";
import type { Explainer } from "./explain.ts";
import type { LeaseEnds } from "./lease-ends.ts";
import type { PageFile } from "./page-files.ts";
import { Viewer } from "./viewer.ts";

export interface AnswerParts {
  readonly feed: ConsoleFeed;
  readonly ends: Pick<LeaseEnds, "of">;
  readonly explainer: Pick<Explainer, "explain">;
  readonly files: ReadonlyMap<string, PageFile>;
  readonly clock: Clock;
  /** Origins of the other replicas' consoles: their pages may read here, and ours there. */
  readonly others: () => readonly string[];
}

/** Event streams at once; each costs a socket and a place. */
const MAX_VIEWERS = 64;
const JSON_TYPE = "application/json";
const TEXT_TYPE = "text/plain; charset=utf-8";

export class ConsoleAnswers {
  readonly #parts: AnswerParts;
  readonly #viewers = new Set<Viewer>();

  constructor(parts: AnswerParts) {
    this.#parts = parts;
    parts.feed.onFrame(() => {
      for (const viewer of this.#viewers) viewer.pump();
    });
  }

  /** Pages that follow the stream now. */
  get viewers(): number {
    return this.#viewers.size;
  }

  answer(request: IncomingMessage, response: ServerResponse, peer: ConsolePeer): void {
    // A page that is closed in the middle is no fault.
    response.on("error", () => undefined);
    this.#setHeaders(request, response);
    const refusal = peer.distrust() ?? consoleRefusal(peer.caller, request.headers.host ?? "");
    if (refusal !== undefined) {
      send(response, 403, TEXT_TYPE, `${refusal}\n`);
      return;
    }
    if (request.method !== "GET" && request.method !== "HEAD") {
      send(response, 405, TEXT_TYPE, "the console is read-only: only GET and HEAD\n");
      return;
    }
    const url = new URL(request.url ?? "/", "http://console");
    switch (url.pathname) {
      case "/api/snapshot":
        send(response, 200, JSON_TYPE, this.#parts.feed.snapshot().json);
        return;
      case "/api/events":
        this.#follow(request, response, peer);
        return;
      case "/api/ends":
        void answerJson(response, this.#parts.ends.of(url.searchParams.getAll("key")));
        return;
      case "/api/path":
        this.#path(url.searchParams, request, response);
        return;
      default:
        this.#page(url.pathname, request, response);
    }
  }

  #setHeaders(request: IncomingMessage, response: ServerResponse): void {
    const others = this.#parts.others();
    const { origin } = request.headers;
    response.setHeader("content-security-policy", policy(others));
    response.setHeader("x-content-type-options", "nosniff");
    response.setHeader("referrer-policy", "no-referrer");
    response.setHeader("cross-origin-opener-policy", "same-origin");
    response.setHeader("cache-control", "no-store");
    response.setHeader("vary", "origin");
    if (origin === undefined || !others.includes(origin)) return;
    response.setHeader("access-control-allow-origin", origin);
    response.setHeader("access-control-allow-credentials", "true");
  }

  #follow(request: IncomingMessage, response: ServerResponse, peer: ConsolePeer): void {
    if (this.#viewers.size >= MAX_VIEWERS) {
      send(response, 503, TEXT_TYPE, `${MAX_VIEWERS} pages are open already\n`);
      return;
    }
    const { feed, clock } = this.#parts;
    response.writeHead(200, { "content-type": "text/event-stream" });
    if (request.method === "HEAD") {
      response.end();
      return;
    }
    const viewer = new Viewer(feed, response, {
      nowMs: () => clock.monotonicMs(),
      isWelcome: () => peer.distrust() === undefined,
    });
    this.#viewers.add(viewer);
    response.once("close", () => {
      viewer.over();
      this.#viewers.delete(viewer);
    });
    viewer.pump();
  }

  /** It sends packets: other sites' pages must not be able to ask for it, not even unseen. */
  #path(asked: URLSearchParams, request: IncomingMessage, response: ServerResponse): void {
    const { "sec-fetch-site": site, origin = "" } = request.headers;
    if (site === "cross-site" && !this.#parts.others().includes(origin)) {
      send(response, 403, TEXT_TYPE, "only the console's own page may ask for this\n");
      return;
    }
    const { explainer } = this.#parts;
    const path = explainer.explain(asked.get("from") ?? "", asked.get("to") ?? "");
    void answerJson(response, path);
  }

  #page(path: string, request: IncomingMessage, response: ServerResponse): void {
    const file = this.#parts.files.get(path);
    if (file === undefined) {
      send(response, 404, TEXT_TYPE, "no such page; the console is at /\n");
      return;
    }
    response.setHeader("etag", file.etag);
    response.setHeader("cache-control", "no-cache");
    if (request.headers["if-none-match"] === file.etag) response.writeHead(304).end();
    else send(response, 200, file.contentType, file.body);
  }
}

async function answerJson(response: ServerResponse, answer: Promise<unknown>): Promise<void> {
  try {
    send(response, 200, JSON_TYPE, JSON.stringify(await answer));
  } catch (error) {
    const { code, message } = TwillError.from(error);
    send(response, code === "OPTION_INVALID" ? 400 : 503, TEXT_TYPE, `${message}\n`);
  }
}

/** Nothing from anywhere else, nothing inline, in nobody's frame. */
function policy(others: readonly string[]): string {
  return [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "font-src 'self'",
    "img-src 'self'",
    ["connect-src 'self'", ...others].join(" "),
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; ");
}

/** Node leaves the body out of an answer to HEAD. */
function send(
  response: ServerResponse,
  status: number,
  contentType: string,
  body: string | Buffer,
): void {
  response.writeHead(status, {
    "content-type": contentType,
    "content-length": Buffer.byteLength(body),
  });
  response.end(body);
}
