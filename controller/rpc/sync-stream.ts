/** grpc-js's side of an agent's stream: bytes out, checked messages in, and how it ends. */
import type { ServerDuplexStream } from "@grpc/grpc-js";
import type { TwillError } from "../../common/errors.ts";
import type { Frame } from "../view/stream-frames.ts";
import type { Inbound } from "./agent-message.ts";
import { callStatus } from "./call-status.ts";
import type { Outlet } from "./outlet.ts";

export type SyncCall = ServerDuplexStream<Inbound, Frame>;

export class SyncOutlet implements Outlet {
  readonly #call: SyncCall;
  readonly #cut: () => void;
  #isEnded = false;

  /** `cut` destroys the connection. */
  constructor(call: SyncCall, cut: () => void) {
    this.#call = call;
    this.#cut = cut;
  }

  write(frame: Frame, flushed: () => void): void {
    if (this.#isEnded) return;
    this.#call.write(frame, (error: unknown) => {
      if (error === undefined || error === null) flushed();
    });
  }

  end(reason: TwillError): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#call.emit("error", callStatus(reason));
  }

  destroy(): void {
    this.#isEnded = true;
    this.#cut();
  }
}

export interface SyncListener {
  receive(inbound: Inbound): void;
  closed(reason: string): void;
  /** How long to read nothing more after a message; 0: go on. */
  waitMs(): number;
  /** It sends faster than it is read. */
  tooFast(): void;
}

/** Hands everything that happens on the call to the listener, its end exactly once or more. */
export function listenTo(call: SyncCall, listener: SyncListener): void {
  let pause: NodeJS.Timeout | undefined;
  call.on("data", (inbound: Inbound) => {
    listener.receive(inbound);
    const waitMs = listener.waitMs();
    if (waitMs === 0) return;
    listener.tooFast();
    call.pause();
    pause = setTimeout(() => call.resume(), waitMs);
  });
  call.on("close", () => clearTimeout(pause));
  call.on("end", () => {
    listener.closed("the agent ended it");
    call.end();
  });
  call.on("cancelled", () => listener.closed("the connection is gone"));
  call.on("close", () => listener.closed("it was closed"));
  // Its own status emitted by `end`, or grpc-js's; both end the stream.
  call.on("error", () => listener.closed("it was ended"));
}
