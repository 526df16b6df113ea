/** A titled part of the page that can be a picture or a table of the same. */
import type { ComponentChildren, JSX } from "preact";
import { useId, useState } from "preact/hooks";

export interface PanelProps {
  readonly title: string;
  readonly summary: string;
  readonly picture: () => ComponentChildren;
  readonly table: () => ComponentChildren;
}

export function Panel({ title, summary, picture, table }: PanelProps): JSX.Element {
  const [isTable, setTable] = useState(false);
  const id = useId();
  const choice = (text: string, toTable: boolean): JSX.Element => (
    <button type="button" aria-pressed={isTable === toTable} onClick={() => setTable(toTable)}>
      {text}
    </button>
  );
  return (
    <section class="panel" aria-labelledby={id}>
      <header class="panel-head">
        <h2 id={id}>{title}</h2>
        <p class="summary">{summary}</p>
        <fieldset class="switch">
          <legend class="unseen">Show {title.toLowerCase()} as</legend>
          {choice("Picture", false)}
          {choice("Table", true)}
        </fieldset>
      </header>
      {isTable ? table() : picture()}
    </section>
  );
}
