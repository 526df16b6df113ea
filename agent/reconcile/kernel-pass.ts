/**
 * One pass from belief to kernel: devices, then lists of what is not known, then the changes
 * in their order, then a look at what was written. Failures stay with their keys; whatever
 * happens to one object, the others are tried.
 */
import { TwillError } from "../../common/errors.ts";
import type { ChangeFailure } from "../kernel/kernel.ts";
import type { ObjectKind } from "../plan/kernel-object.ts";
import { inApplyOrder } from "./apply-order.ts";
import type { Board } from "./board.ts";
import { isSmall } from "./event-watch.ts";
import type { KindDriver, PendingChange } from "./kind-driver.ts";
import { LinkPass } from "./link-pass.ts";
import type { PassPorts } from "./pass-ports.ts";
import type { DriftRepair, ObjectFailure } from "./report.ts";

export interface PassResult {
  /** Everything that is failing now, also what was not tried in this pass. */
  readonly failures: readonly ObjectFailure[];
  readonly drift: readonly DriftRepair[];
  /** Objects of which somebody else keeps making something different. */
  readonly contested: readonly DriftRepair[];
  readonly put: ReadonlyMap<ObjectKind, number>;
  readonly deleted: ReadonlyMap<ObjectKind, number>;
  /** When the first of the repairs that were put off may be made; infinite: none was. */
  readonly heldUntilMs: number;
}

export class KernelPass {
  readonly #board: Board;
  readonly #ports: PassPorts;
  readonly #drift: DriftRepair[] = [];
  readonly #contested: DriftRepair[] = [];
  readonly #put = new Map<ObjectKind, number>();
  readonly #deleted = new Map<ObjectKind, number>();
  readonly #isSecondLook: boolean;
  /** A device went while it was written to. */
  #mustLookAgain = false;
  #heldUntilMs = Number.POSITIVE_INFINITY;

  /** `isSecondLook`: a device that is in trouble now is a failure. */
  constructor(board: Board, ports: PassPorts, isSecondLook = false) {
    this.#board = board;
    this.#ports = ports;
    this.#isSecondLook = isSecondLook;
  }

  async run(signal: AbortSignal): Promise<PassResult> {
    const result = await this.#runOnce(signal);
    if (!this.#mustLookAgain) return result;
    return together(result, await new KernelPass(this.#board, this.#ports, true).run(signal));
  }

  async #runOnce(signal: AbortSignal): Promise<PassResult> {
    const links = new LinkPass(this.#board, this.#ports);
    await links.ensure(signal);
    const drivers = this.#board.drivers.all;
    for (const driver of drivers) if (driver.mustRead) await this.#read(driver, signal);
    const changes = this.#due(links.unready);
    await this.#apply(changes, signal);
    if (!this.#mustLookAgain) await this.#readBack(changes, signal);
    await links.prune(signal);
    this.#collectDrift(links.drift);
    return {
      failures: [...this.#ports.retries.failures(), ...this.#standing()],
      drift: this.#drift,
      contested: this.#contested,
      put: this.#put,
      deleted: this.#deleted,
      heldUntilMs: this.#heldUntilMs,
    };
  }

  /** A kind that cannot be listed is left alone this time, and tried again. */
  async #read(driver: KindDriver, signal: AbortSignal): Promise<boolean> {
    const id = listId(driver);
    const { clock, kernel, retries } = this.#ports;
    if (!retries.isDue(id, clock.monotonicMs())) return false;
    try {
      await driver.read(kernel, () => clock.monotonicMs(), signal);
      retries.succeeded(id);
      return true;
    } catch (error) {
      signal.throwIfAborted();
      const { code, message, context } = TwillError.from(error);
      const errno = context["errno"];
      const shown = typeof errno === "string" ? errno : code;
      this.#fail(id, { kind: driver.kind, key: "list", code: shown, message });
      return false;
    }
  }

  /** What is pending and may be tried now, in order. */
  #due(unready: ReadonlySet<string>): PendingChange[] {
    const nowMs = this.#ports.clock.monotonicMs();
    const { drivers, isAddOnly } = this.#board;
    const pending = drivers.all
      .filter((driver) => driver.isKnown)
      .flatMap((driver) => driver.pending(isAddOnly));
    const wanted = new Set(pending.map(({ id }) => id));
    this.#ports.retries.keepOnly((id) => wanted.has(id) || !isObjectId(id));
    return inApplyOrder(
      pending.filter(
        ({ id, device }) =>
          this.#ports.retries.isDue(id, nowMs) &&
          !this.#isHeld(id, nowMs) &&
          (device === undefined || !unready.has(device)),
      ),
    );
  }

  /** Noted at the look that puts it off: a pause may end while the pass goes on. */
  #isHeld(id: string, nowMs: number): boolean {
    const untilMs = this.#ports.pace.heldUntilMs(id, nowMs);
    if (untilMs === undefined) return false;
    this.#heldUntilMs = Math.min(this.#heldUntilMs, untilMs);
    return true;
  }

  async #apply(changes: readonly PendingChange[], signal: AbortSignal): Promise<void> {
    if (changes.length === 0) return;
    for (const driver of this.#board.drivers.all) driver.openWindow();
    const failed = await this.#send(changes, signal);
    for (const change of changes) {
      const failure = failed.get(change.change);
      if (failure === undefined) this.#succeed(change);
      else this.#refused(change, failure);
    }
  }

  async #send(
    changes: readonly PendingChange[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<unknown, ChangeFailure>> {
    try {
      const failures = await this.#ports.kernel.apply(
        changes.map(({ change }) => change),
        signal,
      );
      return new Map(failures.map((failure) => [failure.change, failure]));
    } catch (error) {
      // Nobody knows how far it came: list again before anything is believed.
      for (const driver of this.#board.drivers.all) driver.mustRead = true;
      signal.throwIfAborted();
      const { code, message } = TwillError.from(error);
      return new Map(changes.map(({ change }) => [change, { change, errno: code, message }]));
    }
  }

  #succeed({ op, kind, id, confirm }: PendingChange): void {
    confirm();
    this.#ports.retries.succeeded(id);
    const counts = op === "put" ? this.#put : this.#deleted;
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }

  /**
   * A device that went while we wrote (its entries go first, one event each) is one trouble, not
   * thousands: the devices are looked at again before the objects are blamed.
   */
  #refused({ kind, key, id, device }: PendingChange, { errno, message }: ChangeFailure): void {
    const isOurs = device !== undefined && this.#board.realm.devices.has(device);
    const isOfDevice = isOurs && DEVICE_TROUBLE.has(errno);
    if (isOfDevice) {
      this.#board.linksSuspect = true;
      for (const driver of this.#board.drivers.all) driver.mustRead = true;
    }
    if (isOfDevice && !this.#isSecondLook) this.#mustLookAgain = true;
    else this.#fail(id, { kind, key, code: errno, message });
  }

  #fail(id: string, failure: ObjectFailure): void {
    const { retries, clock, random } = this.#ports;
    retries.failed(id, failure, clock.monotonicMs(), random());
  }

  /** Small tables are looked at again: an acknowledged write may be undone already. */
  async #readBack(changes: readonly PendingChange[], signal: AbortSignal): Promise<void> {
    const written = new Set(changes.map(({ id }) => id));
    const kinds = new Set(changes.map(({ kind }) => kind));
    for (const driver of this.#board.drivers.all) {
      if (!kinds.has(driver.kind) || !isSmall(driver)) continue;
      if (!(await this.#read(driver, signal))) continue;
      for (const { id, kind, key } of driver.pending(this.#board.isAddOnly)) {
        if (!written.has(id) || this.#ports.retries.has(id)) continue;
        const message = "the kernel took the change, and a moment later it was undone";
        this.#fail(id, { kind, key, code: "UNDONE", message });
      }
    }
  }

  #collectDrift(links: readonly DriftRepair[]): void {
    const nowMs = this.#ports.clock.monotonicMs();
    this.#drift.push(...links);
    for (const driver of this.#board.drivers.all) {
      driver.settleDrift();
      for (const { key, expected, found, noticedMs } of driver.takeRepaired()) {
        const repairedMs = Math.round(nowMs - noticedMs);
        this.#drift.push({ kind: driver.kind, key, expected, found, repairedMs });
      }
    }
    for (const repair of this.#drift) {
      if (this.#ports.pace.repaired(`${repair.kind} ${repair.key}`, nowMs)) {
        this.#contested.push(repair);
      }
    }
  }

  /** What cannot be put because the kernel's own route stands there. */
  #standing(): ObjectFailure[] {
    return this.#board.drivers.all.flatMap((driver) =>
      driver.obstacles().map(({ key, found }) => ({
        kind: driver.kind,
        key,
        code: "LOCAL_ROUTE",
        message: `a local interface holds an address of this subnet (${found}); it is left alone`,
      })),
    );
  }
}

/** Two looks as one pass; what failed is what fails at the end. */
function together(first: PassResult, second: PassResult): PassResult {
  return {
    failures: second.failures,
    drift: [...first.drift, ...second.drift],
    contested: [...first.contested, ...second.contested],
    put: sums(first.put, second.put),
    deleted: sums(first.deleted, second.deleted),
    heldUntilMs: second.heldUntilMs,
  };
}

function sums(
  a: ReadonlyMap<ObjectKind, number>,
  b: ReadonlyMap<ObjectKind, number>,
): ReadonlyMap<ObjectKind, number> {
  const total = new Map(a);
  for (const [kind, count] of b) total.set(kind, (total.get(kind) ?? 0) + count);
  return total;
}

/** errno that tell more about the device than about the object. */
const DEVICE_TROUBLE: ReadonlySet<string> = new Set(["ENODEV", "ENETDOWN"]);

function listId(driver: KindDriver): string {
  return `list of ${driver.kind}`;
}

function isObjectId(id: string): boolean {
  return !id.startsWith("list of ") && !id.startsWith("link ");
}
