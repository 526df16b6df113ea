/** Until when the leases that are on the screen run: asked when they are, and again now and then. */
import { useEffect, useState } from "preact/hooks";
import { askSpeaker } from "./speaker.ts";
import { readEnds } from "./wire.ts";

const AGAIN_MS = 10_000;
const MOST_KEYS = 64;

/** Seconds by key; null: it never ends or is gone; absent: not known. */
export function useEnds(keys: readonly string[]): ReadonlyMap<string, number | null> {
  const [ends, setEnds] = useState<ReadonlyMap<string, number | null>>(new Map());
  const asked = keys.slice(0, MOST_KEYS).toSorted().join(" ");
  useEffect(() => {
    if (asked === "") return undefined;
    const over = new AbortController();
    const query = asked
      .split(" ")
      .map((key) => `key=${encodeURIComponent(key)}`)
      .join("&");
    const ask = async (): Promise<void> => {
      try {
        const response = await askSpeaker(`/api/ends?${query}`, { signal: over.signal });
        if (!response.ok) return;
        const found = readEnds(await response.text());
        setEnds(new Map(found.map(({ key, seconds }) => [key, seconds])));
      } catch {
        // The line to the controller says itself when it is lost.
      }
    };
    void ask();
    const timer = window.setInterval(() => void ask(), AGAIN_MS);
    return () => {
      over.abort();
      window.clearInterval(timer);
    };
  }, [asked]);
  return ends;
}
