/** The devices' share of a pass: each in turn, and what their trouble means for the objects on them. */
import { TwillError } from "../../common/errors.ts";
import type { LinkSpec } from "../plan/kernel-state.ts";
import type { Board } from "./board.ts";
import { formatLink } from "./link-decision.ts";
import type { PassPorts } from "./pass-ports.ts";
import type { DriftRepair, ObjectFailure } from "./report.ts";

export class LinkPass {
  readonly drift: DriftRepair[] = [];
  /** Devices on which nothing can be written now. */
  readonly unready = new Set<string>();
  readonly #board: Board;
  readonly #ports: PassPorts;

  constructor(board: Board, ports: PassPorts) {
    this.#board = board;
    this.#ports = ports;
  }

  async ensure(signal: AbortSignal): Promise<void> {
    if (!this.#board.linksSuspect) return;
    const nowMs = this.#ports.clock.monotonicMs();
    const sinceMs = this.#board.linksSuspectSinceMs ?? nowMs;
    // Cleared before looking: an event that comes meanwhile asks for another look.
    this.#board.linksSuspect = false;
    this.#board.linksSuspectSinceMs = undefined;
    for (const spec of this.#board.links) {
      if (this.#ports.retries.isDue(linkId(spec.name), nowMs)) {
        await this.#ensureOne(spec, sinceMs, signal);
      } else {
        this.#giveUp(spec.name);
      }
    }
  }

  /** Only in sync, and after everything of now is in place. */
  async prune(signal: AbortSignal): Promise<void> {
    if (!this.#board.staleLinksSuspect || this.#board.isAddOnly) return;
    this.#board.staleLinksSuspect = false;
    try {
      await this.#ports.links.pruneStale(this.#board.realm, signal);
      this.#ports.retries.succeeded(linkId(STALE));
    } catch (error) {
      signal.throwIfAborted();
      this.#board.staleLinksSuspect = true;
      this.#fail(STALE, TwillError.from(error));
    }
  }

  async #ensureOne(spec: LinkSpec, sinceMs: number, signal: AbortSignal): Promise<void> {
    const { links, retries, clock } = this.#ports;
    const wasSettled = links.wasSettled(spec.name);
    const outcome = await links.ensure(spec, !this.#board.isAddOnly, signal);
    if (outcome.kind === "failed") return this.#fail(spec.name, outcome.error);
    retries.succeeded(linkId(spec.name));
    // Deferred: it stays in use as it is until it can be filled again at once.
    if (outcome.kind === "deferred") return;
    if (outcome.isWiped) this.#forgetObjects();
    if (wasSettled && outcome.found !== undefined) {
      const repairedMs = Math.round(clock.monotonicMs() - sinceMs);
      const { found } = outcome;
      this.drift.push({
        kind: "link",
        key: spec.name,
        expected: formatLink(spec),
        found,
        repairedMs,
      });
    }
  }

  /** What went with the device is no drift of its own: one report for the device is enough. */
  #forgetObjects(): void {
    for (const driver of this.#board.drivers.all) driver.forget();
  }

  #fail(key: string, { code, message }: TwillError): void {
    const { retries, clock, random } = this.#ports;
    const failure: ObjectFailure = { kind: "link", key, code, message };
    retries.failed(linkId(key), failure, clock.monotonicMs(), random());
    this.#giveUp(key);
  }

  /** For this pass: nothing is written to it, and the next pass looks again. */
  #giveUp(name: string): void {
    this.unready.add(name);
    this.#board.linksSuspect = true;
  }
}

/** Devices of earlier configs, under one key. */
const STALE = "stale devices";

function linkId(name: string): string {
  return `link ${name}`;
}
