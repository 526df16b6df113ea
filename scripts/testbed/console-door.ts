/** `lab console`: the console of a lab for a browser of this machine, until it is interrupted. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";
import { TwillError } from "../../common/errors.ts";
import { tlsFile } from "./certificates.ts";
import { CONSOLE_PORT } from "./daemons.ts";
import type { Machine } from "./machine.ts";
import { machineIds } from "./topology.ts";

const RELAY = fileURLToPath(new URL("./console-relay.js", import.meta.url));

export interface DoorOptions {
  /** Any machine of the lab reaches all controllers; without certificates each only its own. */
  readonly machine: Machine;
  readonly controllers: number;
  readonly insecure: boolean;
  /** On the host's loopback; 0: any that is free. */
  readonly port: number;
}

/** Resolves with the address for browsers, and how to close the door. */
export async function openConsoleDoor(
  options: DoorOptions,
): Promise<{ readonly url: string; readonly close: () => Promise<void> }> {
  const { machine, insecure } = options;
  const server = createServer();
  server.listen(options.port, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : options.port;
  const hosts = insecure
    ? ["127.0.0.1"]
    : machineIds("controller", options.controllers).map(({ ip }) => ip);
  const files = insecure
    ? []
    : [tlsFile("ca.crt"), tlsFile("operator.crt"), tlsFile("operator.key")];
  const targets = hosts.map((host) => `${host}:${CONSOLE_PORT}`).join(",");
  const argv = machine.enter([process.execPath, RELAY, targets, ...files]);
  const [program = "", ...rest] = argv;
  const relay = spawn(program, rest, {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
    env: { ...machine.env },
  });
  await once(relay, "spawn");
  // The relay accepts from now on, in its own namespaces, on the host's socket.
  relay.send("door", server);
  // Whoever connected before it says so would be left waiting.
  const opened = await Promise.race([once(relay, "message"), once(relay, "exit").then(() => null)]);
  server.close();
  if (opened === null) throw new TwillError("COMMAND_FAILED", "the relay in the lab ended at once");
  return {
    url: `http://127.0.0.1:${port}/`,
    close: async () => {
      if (relay.exitCode !== null || relay.signalCode !== null) return;
      const ended = once(relay, "exit");
      relay.kill();
      await ended;
    },
  };
}
