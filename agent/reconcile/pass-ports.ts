/** What a pass works on, the same for its devices and for everything behind them. */
import type { Clock } from "../../common/async/clock.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { LinkDriver } from "./link-driver.ts";
import type { RepairPace } from "./repair-pace.ts";
import type { ObjectFailure } from "./report.ts";
import type { RetryBook } from "./retry-book.ts";

export interface PassPorts {
  readonly kernel: Kernel;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly links: LinkDriver;
  readonly retries: RetryBook<ObjectFailure>;
  readonly pace: RepairPace;
}
