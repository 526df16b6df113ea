/** Waiting for an abort, as a promise that lets go of its listeners. */
import { TwillError } from "../errors.ts";

/** Resolves when `signal` is aborted; rejects (and lets go) when `giveUp` is. */
export async function aborted(signal: AbortSignal, giveUp: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve, reject) => {
    const onAbort = (): void => {
      giveUp.removeEventListener("abort", onGiveUp);
      resolve();
    };
    const onGiveUp = (): void => {
      signal.removeEventListener("abort", onAbort);
      reject(new TwillError("SHUTTING_DOWN", "no longer needed"));
    };
    signal.addEventListener("abort", onAbort, { once: true });
    giveUp.addEventListener("abort", onGiveUp, { once: true });
  });
}
