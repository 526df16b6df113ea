/** A log that keeps every event, unlimited, for tests to look at. */
import type { EventName } from "../../common/events.ts";
import type { Fields, Logger } from "../../common/log.ts";

export interface LoggedEvent {
  readonly name: EventName;
  readonly message: string;
  /** Those of the event and of every child logger above it. */
  readonly fields: Fields;
}

export class LogCapture implements Logger {
  readonly all: LoggedEvent[];
  readonly #context: Fields;

  constructor(all: LoggedEvent[] = [], context: Fields = {}) {
    this.all = all;
    this.#context = context;
  }

  event(name: EventName, message: string, fields: Fields = {}): void {
    this.all.push({ name, message, fields: { ...this.#context, ...fields } });
  }

  child(fields: Fields): Logger {
    return new LogCapture(this.all, { ...this.#context, ...fields });
  }

  get names(): EventName[] {
    return this.all.map(({ name }) => name);
  }

  of(name: EventName): LoggedEvent[] {
    return this.all.filter((event) => event.name === name);
  }
}
