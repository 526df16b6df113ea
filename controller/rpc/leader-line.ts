/**
 * The connection by which a replica sees whether the leader's process lives: gRPC's standard
 * health watch, held open, and plain TCP connections that are refused or not.
 */
import { connect } from "node:net";
import { type ChannelCredentials, Client } from "@grpc/grpc-js";
import { parseHostPort } from "../../common/net/host-port.ts";
import type { LeaderLine } from "../store/dead-leader.ts";
import { REPLICA_CHANNEL } from "./replica-channel.ts";

const HEALTH_WATCH = "/grpc.health.v1.Health/Watch";
/** The request for the whole server: a message with no field set. */
const WHOLE_SERVER = Buffer.alloc(0);
/** No answer at all in this time is silence, which proves nothing. */
const CONNECT_TIMEOUT_MS = 2000;

export function leaderLine(credentials: () => ChannelCredentials): LeaderLine {
  return {
    hold: (address, signal) => holdHealthWatch(address, credentials(), signal),
    refuses,
  };
}

async function holdHealthWatch(
  address: string,
  credentials: ChannelCredentials,
  signal: AbortSignal,
): Promise<{ readonly connected: boolean }> {
  signal.throwIfAborted();
  const client = new Client(address, credentials, {
    ...REPLICA_CHANNEL,
    "grpc.keepalive_time_ms": 4000,
    "grpc.keepalive_timeout_ms": 6000,
    "grpc.enable_retries": 0,
  });
  const same = (message: Buffer): Buffer => message;
  const watch = client.makeServerStreamRequest(HEALTH_WATCH, same, same, WHOLE_SERVER);
  const cancel = (): void => watch.cancel();
  signal.addEventListener("abort", cancel, { once: true });
  let connected = false;
  try {
    await new Promise<void>((resolve) => {
      watch.on("data", () => {
        connected = true;
      });
      watch.once("error", () => resolve());
      watch.once("end", () => resolve());
    });
  } finally {
    signal.removeEventListener("abort", cancel);
    client.close();
  }
  signal.throwIfAborted();
  return { connected };
}

async function refuses(address: string, signal: AbortSignal): Promise<boolean> {
  signal.throwIfAborted();
  const target = parseHostPort(address);
  if (target === undefined) return false;
  const socket = connect({ ...target, signal });
  try {
    return await new Promise<boolean>((resolve) => {
      socket.setTimeout(CONNECT_TIMEOUT_MS, () => resolve(false));
      socket.once("connect", () => resolve(false));
      socket.on("error", (error) => resolve("code" in error && error.code === "ECONNREFUSED"));
    });
  } finally {
    socket.destroy();
    signal.throwIfAborted();
  }
}
