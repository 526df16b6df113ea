/** The journal for operators: what was changed, and how things stood. Secrets of a config stay here. */
import { redactConfig } from "../../common/config/redact-config.ts";
import { TwillError } from "../../common/errors.ts";
import type {
  GetHistoryRequest,
  GetPastRequest,
  HistoryEntry,
  HistoryReply,
  HistoryServer,
  PastKey,
  Past as WirePast,
  KeyState as WireState,
} from "../../proto/gen/twill/v1/history.ts";
import type { KeyState, WrittenEntry } from "../journal/journal-entry.ts";
import { type PastKey as Key, type Present, pastAt, revisionAt } from "../journal/past.ts";
import { readPresent } from "../journal/read-present.ts";
import type { Store } from "../store/store.ts";
import { CONFIG_KEY } from "../view/keys.ts";
import { answerUnary } from "./answer-unary.ts";

export interface HistoryParts {
  readonly store: Pick<Store, "list">;
}

export function createHistoryService({ store }: HistoryParts, signal: AbortSignal): HistoryServer {
  const look = { kind: "look" } as const;
  return {
    getHistory: answerUnary(signal, look, async (request: GetHistoryRequest, ending) =>
      historyOf(await readPresent(store, ending), request),
    ),
    getPast: answerUnary(signal, look, async (request: GetPastRequest, ending) =>
      pastOf(await readPresent(store, ending), request),
    ),
  };
}

function historyOf({ journal, revision }: Present, request: GetHistoryRequest): HistoryReply {
  const { limit, afterRevision, subject } = request;
  const wanted = journal.filter(
    (entry) => entry.revision > afterRevision && (subject === "" || concerns(entry, subject)),
  );
  const newest = limit === 0 ? wanted : wanted.slice(-limit);
  return { entries: newest.map(entryToWire), revision };
}

function concerns({ subject, changes }: WrittenEntry, what: string): boolean {
  return subject === what || changes.some(({ key }) => key === what || key.endsWith(`/${what}`));
}

function pastOf(present: Present, { moment }: GetPastRequest): WirePast {
  const past = pastAt(present, revisionOf(present, moment));
  if (past.kind === "forgotten") {
    throw new TwillError(
      "OPTION_INVALID",
      `the journal knows what was at revision ${past.since} and later; it is kept by count (--journal-length)`,
    );
  }
  return { revision: past.revision, keys: past.keys.map(keyToWire) };
}

function revisionOf({ journal, revision }: Present, moment: GetPastRequest["moment"]): number {
  if (moment === undefined) return revision;
  if (moment.$case === "revision") return Math.min(moment.value, revision);
  const time = new Date(moment.value);
  if (Number.isNaN(time.getTime())) {
    const example = "2026-05-04T17:30:00Z";
    throw new TwillError("OPTION_INVALID", `"${moment.value}" is no time; write it as ${example}`);
  }
  return revisionAt(journal, time.toISOString());
}

function entryToWire({ key: _, changes, ...entry }: WrittenEntry): HistoryEntry {
  return {
    ...entry,
    note: entry.note ?? "",
    changes: changes.map(({ key, before, after }) => ({
      key,
      before: stateToWire(key, before),
      after: stateToWire(key, after),
    })),
  };
}

function keyToWire({ key, changed, ...state }: Key): PastKey {
  return {
    key,
    state: stateToWire(key, state),
    changedRevision: changed?.revision ?? 0,
    changedAt: changed?.at ?? "",
    changedBy: changed?.by ?? "",
  };
}

function stateToWire(key: string, state: KeyState | undefined): WireState | undefined {
  if (state === undefined) return undefined;
  const value = key === CONFIG_KEY ? withoutSecrets(state.value) : state.value;
  return { value, forever: state.forever };
}

/** What somebody put there that is no JSON may hold a secret anywhere. */
function withoutSecrets(config: string): string {
  try {
    return redactConfig(config);
  } catch {
    return `(not JSON, ${config.length} characters)`;
  }
}
