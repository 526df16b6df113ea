/**
 * Runs on a machine of a lab, started by `lab console`: takes the host's listening socket from
 * its parent and passes each connection on to the first controller whose console answers, with
 * the lab's operator certificate. So a browser outside needs neither a route nor a certificate.
 */
import { readFileSync } from "node:fs";
import { connect, type NetConnectOpts, Server, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { parseHostPort } from "../../common/net/host-port.ts";

const [targets = "", caFile, certFile, keyFile] = process.argv.slice(2);
const addresses = targets.split(",").flatMap((text) => parseHostPort(text) ?? []);
const tls =
  caFile === undefined || certFile === undefined || keyFile === undefined
    ? undefined
    : { ca: readFileSync(caFile), cert: readFileSync(certFile), key: readFileSync(keyFile) };

process.on("message", (_message: unknown, handle: unknown) => {
  if (!(handle instanceof Server)) return;
  handle.on("connection", (socket: Socket) => {
    socket.on("error", () => socket.destroy());
    passOn(socket, 0);
  });
  process.send?.("open");
});
process.on("disconnect", () => process.exit(0));

function passOn(socket: Socket, turn: number): void {
  const address = addresses[turn];
  if (address === undefined) {
    socket.destroy();
    return;
  }
  const controller = dial(address);
  controller.once("error", () => passOn(socket, turn + 1));
  controller.once(tls === undefined ? "connect" : "secureConnect", () => {
    controller.removeAllListeners("error");
    controller.on("error", () => socket.destroy());
    socket.once("close", () => controller.destroy());
    controller.once("close", () => socket.destroy());
    socket.pipe(controller).pipe(socket);
  });
}

function dial(address: NetConnectOpts & { readonly host: string }): Socket {
  return tls === undefined ? connect(address) : connectTls({ ...address, ...tls });
}
