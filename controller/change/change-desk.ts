/**
 * Plans administrators' changes on any replica and carries them out on the leader: one fenced
 * transaction that compares everything the plan stood on and carries its own journal entry.
 */
import type { Clock } from "../../common/async/clock.ts";
import { TwillError } from "../../common/errors.ts";
import type { Revision } from "../../common/lease/lease.ts";
import { JournalPen } from "../journal/journal-pen.ts";
import { pastAt } from "../journal/past.ts";
import { readPresent } from "../journal/read-present.ts";
import { isFenced } from "../lease/transaction.ts";
import type { Leadership, Store, Transaction } from "../store/store.ts";
import { CONFIG_KEY } from "../view/keys.ts";
import type { ViewService } from "../view/view-service.ts";
import type { Basis, ChangePlan, ChangeRequest, Planned } from "./change.ts";
import { planChange, sameBasis } from "./plan-change.ts";

export interface ChangeDeskParts {
  readonly store: Store;
  readonly views: ViewService;
  readonly clock: Clock;
}

interface Term {
  readonly leadership: Leadership;
  readonly pen: JournalPen;
}

export class ChangeDesk {
  readonly #parts: ChangeDeskParts;
  #term: Term | undefined;

  constructor(parts: ChangeDeskParts) {
    this.#parts = parts;
  }

  /** From now on, until the leadership ends, changes are carried out here. */
  lead(leadership: Leadership): void {
    const term = { leadership, pen: new JournalPen(leadership, "c") };
    this.#term = term;
    const stop = (): void => {
      if (this.#term === term) this.#term = undefined;
    };
    leadership.signal.addEventListener("abort", stop, { once: true });
    if (leadership.signal.aborted) stop();
  }

  /** What it would do, by the table as it is here. */
  async plan(request: ChangeRequest, by: string, signal: AbortSignal): Promise<Planned> {
    const { views, clock } = this.#parts;
    const resolved = await this.#resolve(request, signal);
    const { table, config } = views.view;
    const timeoutMs = "timeoutMs" in request ? request.timeoutMs : 0;
    return planChange(table, resolved, {
      now: new Date(clock.wallMs()).toISOString(),
      deadline: new Date(clock.wallMs() + timeoutMs).toISOString(),
      by,
      config: config.accepted?.config,
    });
  }

  /** Does what was agreed to, or throws why not; answers the revision, 0 when nothing had to be done. */
  async apply(
    agreed: { readonly request: ChangeRequest; readonly basis: readonly Basis[] },
    by: string,
    signal: AbortSignal,
  ): Promise<Revision> {
    const term = this.#term;
    if (term === undefined) throw new TwillError("NOT_LEADER", "this replica does not lead");
    await this.#parts.views.refresh(signal);
    const planned = await this.plan(agreed.request, by, signal);
    if (planned.kind === "refused") throw new TwillError(planned.code, planned.message);
    if (planned.kind === "nothing") return 0;
    if (!sameBasis(planned.basis, agreed.basis)) throw stale();
    return this.#write(planned, by, term);
  }

  async #write(plan: ChangePlan, by: string, { leadership, pen }: Term): Promise<Revision> {
    const { store, clock } = this.#parts;
    const { action, subject, changes } = plan;
    const at = new Date(clock.wallMs()).toISOString();
    const transaction: Transaction = {
      compares: [
        { key: leadership.key, createRevision: leadership.token },
        ...plan.basis.map(({ key, revision }) => ({ key, modRevision: revision })),
      ],
      writes: [...plan.writes, pen.write({ at, by, action, subject, changes })],
      onConflict: [leadership.key],
    };
    const outcome = await store.transact(transaction, leadership.signal);
    if (outcome.kind === "committed") return outcome.revision;
    if (isFenced(leadership, outcome.found)) {
      throw new TwillError("NOT_LEADER", "this replica has just lost the leadership");
    }
    throw stale();
  }

  /** A rollback is the config that stood at its revision; only the store has its secrets. */
  async #resolve(request: ChangeRequest, signal: AbortSignal): Promise<ChangeRequest> {
    if (request.kind !== "config-rollback") return request;
    const past = pastAt(await readPresent(this.#parts.store, signal), request.revision);
    if (past.kind === "forgotten") {
      const what = `the journal knows the config since revision ${past.since}`;
      throw new TwillError("OPTION_INVALID", what);
    }
    const config = past.keys.find(({ key }) => key === CONFIG_KEY);
    if (config === undefined) {
      const what = `there was no config at revision ${request.revision}`;
      throw new TwillError("OPTION_INVALID", what);
    }
    return { kind: "config", json: config.value, timeoutMs: request.timeoutMs };
  }
}

function stale(): TwillError {
  const what = "what the plan stood on has changed meanwhile; nothing was done: plan again";
  return new TwillError("PLAN_STALE", what);
}
