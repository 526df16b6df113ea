/** One stitch outside the cloth, for legends, tables and a node's own page. */
import type { JSX } from "preact";
import type { Condition } from "../model/node-views.ts";

export function Stitch({ condition }: { readonly condition: Condition }): JSX.Element {
  return (
    <svg
      class={`stitch stitch-${condition}`}
      viewBox="0 0 16 16"
      aria-hidden="true"
      focusable="false"
    >
      <path class="stitch-whole" d="M3.5 12.5 L12.5 3.5" />
      {condition === "behind" && <path class="stitch-part" d="M3.5 12.5 L8 8" />}
      {condition === "failing" && <path class="stitch-cross" d="M5 5 L11 11" />}
      {condition === "lost" && <path class="stitch-hollow" d="M3.5 12.5 L12.5 3.5" />}
    </svg>
  );
}
