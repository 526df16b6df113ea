/**
 * A table of any length: only the rows in sight are in the document, and assistive technology
 * is told of how many there are. Rows have one height, which the style sheet knows too.
 */
import type { ComponentChildren, JSX } from "preact";
import { useState } from "preact/hooks";

export interface Column<T> {
  readonly title: string;
  /** As in CSS grid-template-columns. */
  readonly width: string;
  readonly cell: (row: T) => ComponentChildren;
}

export interface TableProps<T> {
  readonly label: string;
  readonly rows: readonly T[];
  readonly columns: readonly Column<T>[];
  readonly keyOf: (row: T) => string;
  readonly empty: string;
  /** Told which rows are in sight. */
  readonly onShow?: (rows: readonly T[]) => void;
}

const ROW = 34;
const SEEN = 14;
const MARGIN = 6;

export function Table<T>(props: TableProps<T>): JSX.Element {
  const { label, rows, columns, keyOf, empty } = props;
  const [top, setTop] = useState(0);
  if (rows.length === 0) return <p class="empty">{empty}</p>;
  const first = Math.max(0, Math.floor(top / ROW) - MARGIN);
  const shown = rows.slice(first, first + SEEN + 2 * MARGIN);
  props.onShow?.(shown);
  const grid = { gridTemplateColumns: columns.map(({ width }) => width).join(" ") };
  return (
    <section
      class="scroll"
      aria-label={`${label}, scrollable`}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keys (WCAG 2.1.1)
      tabIndex={0}
      onScroll={({ currentTarget }) => setTop(currentTarget.scrollTop)}
    >
      <table aria-label={label} aria-rowcount={rows.length + 1} class="table">
        <thead>
          <tr aria-rowindex={1} class="row row-head" style={grid}>
            {columns.map(({ title }) => (
              <th key={title} scope="col">
                {title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody class="rows" style={{ height: `${rows.length * ROW}px` }}>
          {shown.map((row, index) => (
            <tr
              key={keyOf(row)}
              aria-rowindex={first + index + 2}
              class="row"
              style={{ ...grid, transform: `translateY(${(first + index) * ROW}px)` }}
            >
              {columns.map(({ title, cell }) => (
                <td key={title}>{cell(row)}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
