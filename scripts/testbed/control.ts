/**
 * Commands to a lab that is up: a Unix socket in its folder, one JSON request a connection,
 * answered by lines of JSON: any number of {"line"}, then {"done"} or {"failed"}.
 */
import { once } from "node:events";
import { createConnection, createServer, type Server, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { TwillError } from "../../common/errors.ts";

export interface Request {
  readonly verb: string;
  readonly args: readonly string[];
}

/** Does what was asked and tells about it by `say`; throws what went wrong. */
export type Handler = (request: Request, say: (line: string) => void) => Promise<void>;

export async function serveControl(path: string, handler: Handler): Promise<Server> {
  const server = createServer((socket) => {
    // Who asked may be gone before the answer: no concern of the lab.
    socket.on("error", () => undefined);
    createInterface({ input: socket }).once("line", (line) => {
      void answer(socket, line, handler);
    });
  });
  server.listen(path);
  await once(server, "listening");
  return server;
}

async function answer(socket: Socket, line: string, handler: Handler): Promise<void> {
  const send = (message: object): void => void socket.write(`${JSON.stringify(message)}\n`);
  try {
    await handler(parseRequest(line), (text) => send({ line: text }));
    send({ done: true });
  } catch (error) {
    send({ failed: error instanceof Error ? error.message : String(error) });
  }
  socket.end();
}

function parseRequest(line: string): Request {
  const parsed: unknown = JSON.parse(line);
  if (typeof parsed === "object" && parsed !== null && "verb" in parsed && "args" in parsed) {
    const { verb, args } = parsed;
    if (typeof verb === "string" && Array.isArray(args)) {
      return { verb, args: args.filter((arg) => typeof arg === "string") };
    }
  }
  throw new TwillError("PROTOCOL_VIOLATION", "not a request of the lab command");
}

/** Asks a lab and passes on what it says; false when nobody answers at the socket. */
export async function ask(
  path: string,
  request: Request,
  say: (line: string) => void,
): Promise<boolean> {
  const socket = createConnection(path);
  try {
    await once(socket, "connect");
  } catch {
    return false;
  }
  socket.write(`${JSON.stringify(request)}\n`);
  for await (const line of createInterface({ input: socket })) {
    const message: unknown = JSON.parse(line);
    if (typeof message !== "object" || message === null) continue;
    if ("line" in message) say(String(message.line));
    if ("failed" in message) throw new TwillError("COMMAND_FAILED", String(message.failed));
    if ("done" in message) return true;
  }
  throw new TwillError("COMMAND_FAILED", "the lab ended before it answered; see `lab status`");
}
