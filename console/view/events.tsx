/** What happens, newest first, as it happens; by group and by words. */
import type { JSX } from "preact";
import { useId, useMemo, useState } from "preact/hooks";
import type { ConsoleEvent } from "../../common/console/console-state.ts";
import { ALL_EVENTS, EVENT_GROUPS, type EventFilter, filterEvents } from "../model/event-filter.ts";
import { nodeHref } from "../model/route.ts";
import { timeOfDay } from "../model/words.ts";

/** More are kept (and found by the filter) than are drawn. */
const SHOWN = 80;

export interface EventsProps {
  readonly events: readonly ConsoleEvent[];
  /** Nodes that have a page. */
  readonly nodes: { readonly has: (name: string) => boolean };
}

export function Events({ events, nodes }: EventsProps): JSX.Element {
  const [filter, setFilter] = useState<EventFilter>(ALL_EVENTS);
  const id = useId();
  const found = useMemo(
    () => filterEvents(events, filter).slice(-SHOWN).reverse(),
    [events, filter],
  );
  return (
    <section class="events" aria-labelledby={id}>
      <header class="panel-head">
        <h2 id={id}>What happens</h2>
      </header>
      <FilterFields filter={filter} onFilter={setFilter} />
      {found.length === 0 ? (
        <p class="empty">
          {events.length === 0
            ? "Nothing has changed since this controller began."
            : "No event is like that."}
        </p>
      ) : (
        <ol class="event-list" aria-live="off" aria-label="Events, newest first">
          {found.map((event) => (
            <li key={event.id} class={`event event-${event.tone}`}>
              <time dateTime={new Date(event.atMs).toISOString()}>{timeOfDay(event.atMs)}</time>
              <span class="event-text" title={event.kind}>
                {linked(event, nodes)}
              </span>
            </li>
          ))}
        </ol>
      )}
    </section>
  );
}

function FilterFields(props: {
  readonly filter: EventFilter;
  readonly onFilter: (filter: EventFilter) => void;
}): JSX.Element {
  const { filter, onFilter } = props;
  return (
    <div class="filter">
      <label>
        <span class="unseen">Only about</span>
        <select
          value={filter.group}
          onChange={({ currentTarget: { value } }) => {
            const group = EVENT_GROUPS.find((name) => name === value);
            if (group !== undefined) onFilter({ ...filter, group });
          }}
        >
          {EVENT_GROUPS.map((group) => (
            <option key={group} value={group}>
              {group === "all" ? "All events" : `Only ${group}`}
            </option>
          ))}
        </select>
      </label>
      <label>
        <span class="unseen">With these words</span>
        <input
          type="search"
          placeholder="Find words"
          value={filter.words}
          onInput={({ currentTarget: { value } }) => onFilter({ ...filter, words: value })}
        />
      </label>
    </div>
  );
}

/** The node in the sentence leads to its page. */
function linked({ text, subject }: ConsoleEvent, nodes: EventsProps["nodes"]): JSX.Element {
  const at = subject === "" || !nodes.has(subject) ? -1 : text.indexOf(subject);
  if (at < 0) return <>{text}</>;
  return (
    <>
      {text.slice(0, at)}
      <a href={nodeHref(subject)}>{subject}</a>
      {text.slice(at + subject.length)}
    </>
  );
}
