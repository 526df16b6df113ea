/**
 * One agent's stream as the hub sees it, as a port of types: a place to put one message at a
 * time, and two ways to end it. sync-stream.ts is the real one.
 */
import type { TwillError } from "../../common/errors.ts";
import type { Frame } from "../view/stream-frames.ts";

export interface Outlet {
  /**
   * Writes one message; `flushed` is called when it has left for the kernel, and never when the
   * stream has ended meanwhile. Not to be called again before.
   */
  write(frame: Frame, flushed: () => void): void;
  /** Ends the stream with a status, which reaches a peer that still reads. */
  end(reason: TwillError): void;
  /** Cuts the connection: the only way to be rid of a peer that does not read (fanout notes 4). */
  destroy(): void;
}
