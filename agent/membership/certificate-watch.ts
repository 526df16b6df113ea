/**
 * Shows a new certificate to the controllers as soon as it is on disk, whoever renewed it: a
 * stream that began with the old one then counts until the new one ends, and need not be dropped.
 */
import type { Clock } from "../../common/async/clock.ts";
import { TwillError } from "../../common/errors.ts";

export interface CertificateWatchParts {
  /** The certificate's text; undefined: there is none yet. */
  readonly read: () => Promise<string | undefined>;
  readonly controllers: readonly string[];
  readonly show: (controller: string) => Promise<void>;
  readonly clock: Clock;
}

const LOOK_MS = 2000;

/** For ever; a controller that cannot be reached is tried again at every look. */
export async function watchCertificate(
  { read, controllers, show, clock }: CertificateWatchParts,
  signal: AbortSignal,
): Promise<void> {
  let shown = await read().catch(() => undefined);
  let left: readonly string[] = [];
  for (;;) {
    await clock.sleep(LOOK_MS, signal);
    const text = await read().catch(() => shown);
    if (text !== shown) {
      // The first one is shown by the stream itself.
      left = shown === undefined ? [] : controllers;
      shown = text;
    }
    const tried = await Promise.all(left.map((each) => succeeds(() => show(each))));
    left = left.filter((_, index) => tried[index] === false);
  }
}

async function succeeds(work: () => Promise<void>): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (error) {
    if (TwillError.from(error).code === "BUG") throw error;
    return false;
  }
}
