/**
 * The leader's part in a change of backend: asks every node how far it is, and writes the next
 * step in one fenced transaction. All state is in the store; a leader that dies leaves the
 * step to the next one.
 */
import type { Clock } from "../../common/async/clock.ts";
import { Slots } from "../../common/async/slots.ts";
import { Trigger } from "../../common/async/trigger.ts";
import { parseNetworkConfig } from "../../common/config/parse-network-config.ts";
import { TwillError } from "../../common/errors.ts";
import { NO_ETCD_LEASE } from "../../common/lease/lease.ts";
import type { Logger } from "../../common/log.ts";
import type { ConfigState } from "../../proto/gen/twill/v1/node.ts";
import type { JournalAction, KeyChange } from "../journal/journal-entry.ts";
import { JournalPen } from "../journal/journal-pen.ts";
import { stateOf } from "../journal/told-keys.ts";
import type { Leadership, Store, Transaction, Write } from "../store/store.ts";
import { CONFIG_KEY, ROLLOUT_KEY } from "../view/keys.ts";
import type { LeaseView } from "../view/lease-view.ts";
import { encodeRollout, type Rollout } from "../view/rollout.ts";
import type { LeaseRow } from "../view/table-change.ts";
import { type NodeAnswer, nextStep, type RolloutFacts } from "./next-step.ts";

export interface RolloutParts {
  readonly store: Store;
  readonly view: LeaseView;
  readonly clock: Clock;
  readonly log: Logger;
  /** Asks one node's agent, wherever its stream is; throws when it cannot be asked. */
  readonly askConfig: (node: string, signal: AbortSignal) => Promise<ConfigState>;
}

/** From one look at the nodes to the next. */
const LOOK_MS = 500;
const RETRY_MS = 2000;
const ASKED_AT_ONCE = 32;
/** The way back has a time of its own; then it is over, and who missed it follows when it is back. */
const RETURN_MS = 60_000;

/** Runs until the leadership ends. */
export async function driveRollouts(parts: RolloutParts, leadership: Leadership): Promise<void> {
  const { view, clock } = parts;
  const { signal } = leadership;
  const changed = new Trigger();
  const stop = view.onChange(({ change }) => {
    if (change.configChanged) changed.kick();
  });
  const driver = new RolloutDriver(parts, leadership);
  try {
    while (!signal.aborted) {
      const { rollout } = view;
      if (rollout === undefined) await changed.wait(signal);
      else await clock.sleep((await driver.step(rollout)) ? LOOK_MS : RETRY_MS, signal);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    stop();
  }
}

class RolloutDriver {
  readonly #parts: RolloutParts;
  readonly #leadership: Leadership;
  readonly #pen: JournalPen;
  readonly #slots = new Slots(ASKED_AT_ONCE);

  constructor(parts: RolloutParts, leadership: Leadership) {
    this.#parts = parts;
    this.#leadership = leadership;
    this.#pen = new JournalPen(leadership, "r");
  }

  /** False: the store could not be written; to be tried again. */
  async step(rollout: Rollout): Promise<boolean> {
    try {
      await this.#step(rollout);
      return true;
    } catch (error) {
      this.#leadership.signal.throwIfAborted();
      const fault = TwillError.from(error);
      if (fault.code === "BUG") throw fault;
      return false;
    }
  }

  async #step(rollout: Rollout): Promise<void> {
    const { view, clock, log } = this.#parts;
    const expected = rollout.phase === "switch" ? rollout.to : rollout.from;
    if (view.table.config?.value !== expected) {
      await this.#end(rollout, false, "the config was changed by other means meanwhile");
      return;
    }
    const rows = [...view.table.rows.values()].filter(({ lease }) => lease.node !== "");
    const answers = await Promise.all(rows.map(({ lease }) => this.#ask(lease.node)));
    const step = nextStep(rollout, this.#facts(rollout, rows, answers));
    switch (step.kind) {
      case "wait":
        log.event("rollout.waiting", `${rollout.phase}: waits for ${step.for.join("; ")}`, {
          key: `${rollout.mark} ${step.for.length}`,
          phase: rollout.phase,
          waiting: step.for.length,
        });
        return;
      case "switch":
        return this.#put(rollout, { phase: "switch" }, "backend.switching", rollout.to);
      case "return": {
        const deadline = new Date(clock.wallMs() + RETURN_MS).toISOString();
        const next = { phase: "return", reason: step.reason, deadline } as const;
        return this.#put(rollout, next, "backend.returning", rollout.from);
      }
      case "end":
        return this.#end(rollout, step.isDone, step.reason);
    }
  }

  async #end(rollout: Rollout, isDone: boolean, note: string): Promise<void> {
    const action = isDone ? "backend.changed" : "backend.unchanged";
    const writes: readonly Write[] = [{ op: "delete", key: ROLLOUT_KEY }];
    await this.#write(rollout, { writes, changes: [] }, { action, note });
  }

  async #ask(node: string): Promise<NodeAnswer> {
    const { signal } = this.#leadership;
    try {
      const ask = (): Promise<ConfigState> => this.#parts.askConfig(node, signal);
      return { node, state: await this.#slots.run(ask), silence: "" };
    } catch (error) {
      signal.throwIfAborted();
      const fault = TwillError.from(error);
      if (fault.code === "BUG") throw fault;
      return { node, state: undefined, silence: fault.message };
    }
  }

  #facts(
    rollout: Rollout,
    rows: readonly LeaseRow[],
    answers: readonly NodeAnswer[],
  ): RolloutFacts {
    const wanted = backendOf(rollout.phase === "switch" ? rollout.to : rollout.from);
    const others = rows.filter(({ lease }) => lease.attrs.backendType !== wanted);
    return {
      answers,
      otherLeases: others.map(({ lease }) => lease.node),
      leaseRevision: Math.max(0, ...rows.map(({ modRevision }) => modRevision)),
      now: new Date(this.#parts.clock.wallMs()).toISOString(),
    };
  }

  async #put(
    rollout: Rollout,
    next: Partial<Rollout>,
    action: JournalAction,
    config: string,
  ): Promise<void> {
    const before = this.#parts.view.table.config;
    const after = { value: config, forever: true };
    const put = (key: string, value: string): Write => ({
      ...{ op: "put", key, value, etcdLease: NO_ETCD_LEASE },
    });
    const writes = [
      put(ROLLOUT_KEY, encodeRollout({ ...rollout, ...next })),
      put(CONFIG_KEY, config),
    ];
    const changes = [{ key: CONFIG_KEY, before: before && stateOf(before), after }];
    await this.#write(rollout, { writes, changes }, { action, note: next.reason ?? "" });
  }

  async #write(
    rollout: Rollout,
    what: { readonly writes: readonly Write[]; readonly changes: readonly KeyChange[] },
    told: { readonly action: JournalAction; readonly note: string },
  ): Promise<void> {
    const { store, view, clock, log } = this.#parts;
    const { key, token, signal } = this.#leadership;
    const at = new Date(clock.wallMs()).toISOString();
    const entry = { ...told, at, by: rollout.by, subject: CONFIG_KEY, changes: what.changes };
    const transaction: Transaction = {
      compares: [
        { key, createRevision: token },
        { key: ROLLOUT_KEY, modRevision: rollout.modRevision },
        { key: CONFIG_KEY, modRevision: view.table.config?.modRevision ?? 0 },
      ],
      writes: [...what.writes, this.#pen.write(entry)],
      onConflict: [],
    };
    const outcome = await store.transact(transaction, signal);
    if (outcome.kind === "conflict") return;
    const reason = told.note === "" ? "" : `: ${told.note}`;
    log.event("rollout.step", `${told.action}${reason}`, { step: told.action, id: rollout.id });
  }
}

/** As leases say it. */
function backendOf(json: string): string {
  const parsed = parseNetworkConfig(json);
  return parsed.kind === "valid" ? parsed.config.backend.type : "";
}
