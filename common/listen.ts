/** How every server of a daemon starts to listen, with an error that names the address, and how those of HTTP end. */
import type { Server as HttpServer } from "node:http";
import type { Server } from "node:net";
import { TwillError } from "./errors.ts";
import { formatHostPort, type HostPort } from "./net/host-port.ts";

/**
 * An empty host is every address of the machine; `backlog` is the kernel's unless given. Answers
 * the port, a real one for port 0. Throws LISTEN_FAILED when the address cannot be had.
 */
export async function listen(server: Server, where: HostPort, backlog?: number): Promise<number> {
  const { host, port } = where;
  const options = { host: host === "" ? "::" : host, port };
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(backlog === undefined ? options : { ...options, backlog }, () => {
        server.off("error", reject);
        resolve();
      });
    });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const message = `cannot listen on ${formatHostPort(where)}: ${why}`;
    throw new TwillError("LISTEN_FAILED", message, { cause });
  }
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : port;
}

/** Ends every connection with it, also those that hold a stream. */
export async function closeAtOnce(server: HttpServer): Promise<void> {
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
