/** Says that the page is not live any more, since when, and who is asked instead. */
import type { JSX } from "preact";
import type { LinkState } from "../live/link.ts";
import { timeOfDay } from "../model/words.ts";

/** Always there, so that screen readers hear what is put into it. */
export function LinkNotice({ link }: { readonly link: LinkState }): JSX.Element {
  return (
    <div role="alert">
      {link.kind === "lost" && (
        <p class="notice">
          <strong>This controller does not answer.</strong> What you see is from{" "}
          {timeOfDay(link.sinceMs)}. The network itself goes on: no packet needs a controller.
          Trying <span class="mono">{link.trying.replace(/^https?:\/\//, "")}</span>…
        </p>
      )}
    </div>
  );
}
