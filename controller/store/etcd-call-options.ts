/**
 * What every call to etcd carries: a deadline per attempt, the user's token, `hasleader` on
 * streams (a member cut off from the quorum then ends them instead of staying silent), and
 * the caller's abort signal. Done by an interceptor, because etcd3 offers none of it except
 * the deadline.
 */
import { type CallOptions, InterceptingCall, type Interceptor, status } from "@grpc/grpc-js";

export interface CallParts {
  readonly token: string | undefined;
  readonly signal: AbortSignal;
  /** undefined: a stream, which lives as long as it may. */
  readonly timeoutMs: number | undefined;
}

export function callOptions(parts: CallParts): CallOptions {
  const interceptors = [interceptor(parts)];
  if (parts.timeoutMs === undefined) return { interceptors };
  // grpc-js turns it into a timer as the call starts, so a later jump of the wall clock is harmless.
  return { interceptors, deadline: Date.now() + parts.timeoutMs };
}

function interceptor({ token, signal, timeoutMs }: CallParts): Interceptor {
  return (options, nextCall) => {
    let onEnd = (): void => undefined;
    const call = new InterceptingCall(nextCall(options), {
      start(metadata, _listener, next) {
        if (token !== undefined) metadata.set("token", token);
        if (timeoutMs === undefined) metadata.set("hasleader", "true");
        next(metadata, {
          onReceiveStatus(ended, pass) {
            onEnd();
            pass({ ...ended, details: disarmed(ended.details) });
          },
        });
      },
    });
    const onAbort = (): void => call.cancelWithStatus(status.CANCELLED, "aborted by the caller");
    onEnd = () => signal.removeEventListener("abort", onAbort);
    signal.addEventListener("abort", onAbort, { once: true });
    return call;
  };
}

/**
 * etcd3 looks for etcd's texts: at "etcdserver: invalid auth token" it repeats the call by
 * itself, at once and without end, and it garbles "lease not found". Under another prefix it
 * knows neither, and the whole text reaches etcd-errors.ts.
 */
function disarmed(details: string): string {
  return details.replace("etcdserver: ", "etcd: ");
}
