/** An agent's end of a stream that shows what arrived, and reads only when it is let. */
import type { TwillError } from "../../common/errors.ts";
import type { Outlet } from "../../controller/rpc/outlet.ts";
import type { Frame } from "../../controller/view/stream-frames.ts";
import { ControllerMessage } from "../../proto/gen/twill/v1/fabric.ts";

export type ControllerBody = NonNullable<ControllerMessage["body"]>;

export class FakeOutlet implements Outlet {
  readonly frames: Frame[] = [];
  /** While true nothing is flushed: the agent does not read. */
  isStalled = false;
  reason: TwillError | undefined;
  isDestroyed = false;
  #flushed: (() => void) | undefined;

  write(frame: Frame, flushed: () => void): void {
    if (this.#flushed !== undefined) throw new Error("a second write while one is outstanding");
    this.frames.push(frame);
    this.#flushed = flushed;
    if (!this.isStalled) queueMicrotask(() => this.read());
  }

  /** The agent takes the outstanding message. */
  read(): void {
    const flushed = this.#flushed;
    this.#flushed = undefined;
    flushed?.();
  }

  end(reason: TwillError): void {
    this.reason ??= reason;
  }

  destroy(): void {
    this.isDestroyed = true;
  }

  get bodies(): readonly ControllerBody[] {
    return this.frames.flatMap((frame) => ControllerMessage.decode(frame).body ?? []);
  }

  get names(): readonly string[] {
    return this.bodies.map((body) => body.$case);
  }
}
