/** One small call to a controller over a connection of its own, so that it sees this node's certificate. */
import { Client, Metadata } from "@grpc/grpc-js";
import { onlyCall } from "../../common/rpc/unary-call.ts";
import { CHANNEL_OPTIONS, readCredentials, type TlsFiles } from "./channel.ts";

const HEALTH_CHECK = "/grpc.health.v1.Health/Check";
/** The request for the whole server: a message with no field set. */
const WHOLE_SERVER = Buffer.alloc(0);
const DEADLINE_MS = 10_000;

export async function showCertificate(
  controller: string,
  tls: TlsFiles,
  wallMs: number,
): Promise<void> {
  const client = new Client(`dns:${controller}`, await readCredentials(tls), CHANNEL_OPTIONS);
  const same = (message: Buffer): Buffer => message;
  const options = { deadline: wallMs + DEADLINE_MS };
  await onlyCall<void>(client, controller, (done) =>
    client.makeUnaryRequest(
      ...([HEALTH_CHECK, same, same, WHOLE_SERVER, new Metadata(), options] as const),
      (error) => done(error),
    ),
  );
}
