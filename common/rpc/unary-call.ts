/** One unary call of gRPC as a promise; whoever asks a controller for one thing asks by these. */
import type { Client, ServiceError } from "@grpc/grpc-js";
import { fromCallError } from "./call-error.ts";

/** Makes the call; `done` has the form that generated clients call back with. */
export type BeginCall<Reply> = (done: (error: ServiceError | null, reply: Reply) => void) => {
  cancel(): void;
};

/** Rejects with what grpc-js says of the call's end; the signal cancels it. The deadline is the caller's. */
export async function unaryCall<Reply>(
  begin: BeginCall<Reply>,
  signal?: AbortSignal,
): Promise<Reply> {
  let cancel = (): void => undefined;
  try {
    return await new Promise<Reply>((resolve, reject) => {
      const running = begin((error, reply) => {
        if (error === null) resolve(reply);
        else reject(error);
      });
      cancel = () => running.cancel();
      signal?.addEventListener("abort", cancel, { once: true });
    });
  } finally {
    signal?.removeEventListener("abort", cancel);
  }
}

/** The one call of a client that is closed after it; rejects with a TwillError that names `endpoint`. */
export async function onlyCall<Reply>(
  client: Pick<Client, "close">,
  endpoint: string,
  begin: BeginCall<Reply>,
  signal?: AbortSignal,
): Promise<Reply> {
  try {
    return await unaryCall(begin, signal);
  } catch (error) {
    throw fromCallError(error, endpoint);
  } finally {
    client.close();
  }
}
