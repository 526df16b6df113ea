/** The way from a node to another, asked when the reader wants it. */
import { useState } from "preact/hooks";
import type { ConsolePath } from "../../common/console/console-path.ts";
import { askSpeaker } from "./speaker.ts";
import { readPath } from "./wire.ts";

export type PathState =
  | { readonly kind: "none" }
  | { readonly kind: "asking"; readonly to: string }
  | { readonly kind: "path"; readonly to: string; readonly path: ConsolePath }
  | { readonly kind: "refused"; readonly to: string; readonly reason: string };

export function usePath(from: string): readonly [PathState, (to: string) => void] {
  const [state, setState] = useState<PathState>({ kind: "none" });
  const ask = async (to: string): Promise<void> => {
    setState({ kind: "asking", to });
    try {
      const query = new URLSearchParams({ from, to });
      const response = await askSpeaker(`/api/path?${query}`);
      const text = await response.text();
      if (response.ok) setState({ kind: "path", to, path: readPath(text) });
      else setState({ kind: "refused", to, reason: text.trim() });
    } catch {
      setState({ kind: "refused", to, reason: "the controller does not answer" });
    }
  };
  return [state, (to) => void ask(to)];
}
