/**
 * What we add to the events of node's test runner before its reporter prints them: a heading
 * where a tier begins, and before the closing lines every test that was skipped, with the reason.
 */

/** The part of the runner's events that is looked at. */
export interface RunnerEvent {
  readonly type: string;
  readonly data: {
    readonly name?: string;
    readonly nesting?: number;
    readonly file?: string;
    readonly message?: string;
    readonly skip?: string | boolean;
  };
}

/** First of the closing lines: "tests 120". */
const CLOSING = /^tests [0-9]+$/;

export async function* withHeadings(
  events: AsyncIterable<RunnerEvent>,
  tierOf: (file: string) => string | undefined,
): AsyncGenerator<RunnerEvent> {
  let tier = "";
  const skipped: RunnerEvent[] = [];
  for await (const event of events) {
    const begun = tierBegunBy(event, tierOf) ?? tier;
    if (begun !== tier) yield note(`== ${begun}`);
    tier = begun;
    skipped.push(...skipNote(event));
    if (isClosing(event)) yield* skipped.splice(0);
    yield event;
  }
}

function tierBegunBy(
  { type, data }: RunnerEvent,
  tierOf: (file: string) => string | undefined,
): string | undefined {
  return type === "test:start" && data.file !== undefined ? tierOf(data.file) : undefined;
}

function skipNote({ type, data }: RunnerEvent): RunnerEvent[] {
  const { skip = false, name = "?" } = data;
  if (type !== "test:pass" || skip === false) return [];
  const why = typeof skip === "string" && skip !== "" ? skip : "no reason given";
  return [note(`skipped: ${name}: ${why}`)];
}

function isClosing({ type, data }: RunnerEvent): boolean {
  return type === "test:diagnostic" && data.nesting === 0 && CLOSING.test(data.message ?? "");
}

function note(message: string): RunnerEvent {
  return { type: "test:diagnostic", data: { nesting: 0, message } };
}
