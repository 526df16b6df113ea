/** The first line: which network this is, by whom it is told, and the choice of light. */
import type { JSX } from "preact";
import type { LinkState } from "../live/link.ts";
import { type Theme, useTheme } from "../live/use-theme.ts";
import type { Cluster } from "../model/cluster.ts";

export function Masthead(props: {
  readonly link: LinkState;
  readonly cluster: Cluster | undefined;
}): JSX.Element {
  const { link, cluster } = props;
  const head = cluster?.head;
  return (
    <header class="masthead">
      <a class="wordmark" href="#/">
        <Mark />
        Twill
      </a>
      <p class="network">
        {head?.ranges.map(({ network }) => (
          <span key={network} class="mono">
            {network}
          </span>
        ))}
        {head !== undefined && head.backend !== "" && <span>{head.backend}</span>}
      </p>
      <p class={`line line-${link.kind}`}>{lineText(link, cluster)}</p>
      <ThemeChoice />
    </header>
  );
}

function lineText(link: LinkState, cluster: Cluster | undefined): string {
  if (link.kind === "connecting" || cluster === undefined) return "Connecting";
  const { head } = cluster;
  const speaker = head.controllers.find(({ address }) => address === head.controller);
  const name = speaker?.name ?? head.controller;
  return link.kind === "live" ? `Live from ${name}` : `Lost ${name}`;
}

function Mark(): JSX.Element {
  return (
    <svg class="mark" viewBox="0 0 26 22" aria-hidden="true" focusable="false">
      <path d="M3 12 L10 5" />
      <path d="M9.5 16 L17 8.5" />
      <path d="M16 20 L23 13" />
    </svg>
  );
}

const THEMES: readonly (readonly [Theme, string])[] = [
  ["system", "As the system"],
  ["light", "Light"],
  ["dark", "Dark"],
];

function ThemeChoice(): JSX.Element {
  const [theme, setTheme] = useTheme();
  return (
    <label class="choice">
      <span class="unseen">Colours</span>
      <select
        value={theme}
        onChange={({ currentTarget: { value } }) => {
          const chosen = THEMES.find(([name]) => name === value);
          if (chosen !== undefined) setTheme(chosen[0]);
        }}
      >
        {THEMES.map(([name, text]) => (
          <option key={name} value={name}>
            {text}
          </option>
        ))}
      </select>
    </label>
  );
}
