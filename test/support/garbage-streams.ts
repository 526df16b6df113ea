/**
 * Streams that open and send what is no message, thousands of them over one connection, as a
 * broken or hostile peer would: HTTP/2 by hand, because no gRPC client can be brought to it.
 */
import { once } from "node:events";
import { type ClientHttp2Session, connect } from "node:http2";
import { FabricService } from "../../proto/gen/twill/v1/fabric.ts";

/** As many as a controller lets one connection have at once. */
const AT_ONCE = 100;

export interface StreamsReport {
  /** Streams that were answered with a status, by it. */
  readonly answered: Map<string, number>;
  /** Connections that it took. */
  connections: number;
}

/** Opens `count` streams in all and waits for the end of each. */
export async function garbageStreams(address: string, count: number): Promise<StreamsReport> {
  const report: StreamsReport = { answered: new Map(), connections: 0 };
  let session: ClientHttp2Session | undefined;
  const connected = (): ClientHttp2Session => {
    if (session !== undefined && !session.closed && !session.destroyed) return session;
    report.connections += 1;
    session = connect(`http://${address}`);
    session.on("error", () => undefined);
    return session;
  };
  let begun = 0;
  const one = async (): Promise<void> => {
    while (begun < count) {
      begun += 1;
      const status = await garbageStream(connected(), begun);
      report.answered.set(status, (report.answered.get(status) ?? 0) + 1);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
  session?.destroy();
  return report;
}

/** Its gRPC status; "" when it ended without one. */
async function garbageStream(session: ClientHttp2Session, seed: number): Promise<string> {
  const stream = session.request({
    ...{ ":method": "POST", ":path": FabricService.sync.path },
    ...{ "content-type": "application/grpc", te: "trailers" },
  });
  let status = "";
  const read = (headers: Record<string, unknown>): void => {
    const found = headers["grpc-status"];
    if (typeof found === "string") status = found;
  };
  stream.on("response", read);
  stream.on("trailers", read);
  stream.on("error", () => undefined);
  stream.resume();
  // A length and bytes that are no message: a field of a wire type that does not exist.
  const body = Buffer.alloc(5 + 16, 0xff);
  body.writeUInt8(0, 0);
  body.writeUInt32BE(16, 1);
  body.writeUInt32BE(seed, 8);
  stream.end(body);
  if (!stream.closed) await once(stream, "close");
  return status;
}
