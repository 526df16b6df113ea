/**
 * The Watch call: a watcher's place in the ring, moved on whenever its last message has left.
 * Nothing is kept for it; an empty batch now and then tells a dead connection from a quiet one.
 */
import type { handleServerStreamingCall, ServerWritableStream } from "@grpc/grpc-js";
import type { Clock } from "../../common/async/clock.ts";
import { kickOrTimeout } from "../../common/async/kick-or-timeout.ts";
import { Trigger } from "../../common/async/trigger.ts";
import { TwillError } from "../../common/errors.ts";
import type { WatchBatch, WatchRequest } from "../../proto/gen/twill/v1/inspect.ts";
import { refusalOf } from "../auth/authorize.ts";
import type { EventRing } from "../watch/event-ring.ts";
import { callStatus } from "./call-status.ts";
import { identityOf } from "./peer-identity.ts";

export interface WatchParts {
  readonly ring: EventRing;
  readonly clock: Clock;
  /** Runs work whose end nobody waits for, with the process's signal. */
  readonly spawn: (work: (signal: AbortSignal) => Promise<void>) => void;
}

type WatchCall = ServerWritableStream<WatchRequest, WatchBatch>;

const MAX_WATCHERS = 64;
const BEAT_MS = 5000;
/** Events that come together go together. */
const WINDOW_MS = 20;

export function createWatch(
  parts: WatchParts,
): handleServerStreamingCall<WatchRequest, WatchBatch> {
  let watchers = 0;
  return (call) => {
    const refusal = refusalOf(identityOf(call), { kind: "look" });
    if (refusal !== undefined) {
      call.emit("error", callStatus(new TwillError("IDENTITY_REFUSED", refusal)));
      return;
    }
    if (watchers >= MAX_WATCHERS) {
      const busy = new TwillError(
        "NODE_UNAVAILABLE",
        `${MAX_WATCHERS} watch this controller already`,
      );
      call.emit("error", callStatus(busy));
      return;
    }
    watchers += 1;
    parts.spawn(async (signal) => {
      try {
        await feed(call, parts, signal);
      } finally {
        watchers -= 1;
      }
    });
  };
}

async function feed(
  call: WatchCall,
  { ring, clock }: WatchParts,
  process: AbortSignal,
): Promise<void> {
  const ended = new AbortController();
  const end = (): void => ended.abort(new TwillError("SHUTTING_DOWN", "the watch has ended"));
  process.addEventListener("abort", end, { once: true });
  for (const event of ["cancelled", "close", "error"]) call.once(event, end);
  const wake = new Trigger();
  const stop = ring.onPush(() => wake.kick());
  const kinds = new Set(call.request.kinds);
  let place = ring.head;
  try {
    for (;;) {
      await write(call, { events: [], missed: 0 }, ended.signal);
      await kickOrTimeout(wake, BEAT_MS, clock, ended.signal);
      await clock.sleep(WINDOW_MS, ended.signal);
      while (place < ring.head) {
        const { events, missed, next } = ring.after(place, kinds);
        place = next;
        if (events.length + missed > 0) {
          await write(call, { events: [...events], missed }, ended.signal);
        }
      }
    }
  } catch (error) {
    if (!ended.signal.aborted) throw error;
  } finally {
    stop();
    process.removeEventListener("abort", end);
    call.end();
  }
}

/** Resolves when the message has left for the kernel. */
async function write(call: WatchCall, batch: WatchBatch, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  await new Promise<void>((resolve, reject) => {
    const onAbort = (): void => reject(TwillError.from(signal.reason));
    signal.addEventListener("abort", onAbort, { once: true });
    call.write(batch, () => {
      signal.removeEventListener("abort", onAbort);
      resolve();
    });
  });
}
