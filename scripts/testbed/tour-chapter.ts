/** What every chapter of the tour works with. */
import type { Lab } from "./lab.ts";
import type { Report } from "./report.ts";
import type { Settings } from "./settings.ts";

export interface Tour {
  readonly lab: Lab;
  readonly report: Report;
  readonly settings: Settings;
  readonly signal: AbortSignal;
}
