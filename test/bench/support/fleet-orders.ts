/** What the bench and its fleet processes say to each other. */
import type { AgentWords } from "./simulated-agent.ts";

export type Order =
  | {
      readonly kind: "crew";
      readonly agents: readonly AgentWords[];
      readonly controllers: readonly string[];
    }
  /** Answered when every agent is welcomed and holds a table. */
  | { readonly kind: "connect" }
  /** Answered when every agent has a lease. */
  | { readonly kind: "register" }
  /** Answered when every agent has acknowledged this revision; `atMs`: when it was asked for. */
  | { readonly kind: "mark"; readonly revision: number; readonly atMs: number }
  /** Answered when every agent has a stream and acknowledged on it, at this revision or later. */
  | { readonly kind: "settle"; readonly revision: number }
  | { readonly kind: "report" };

/** Milliseconds, rounded -> how often. */
export type Histogram = Record<string, number>;

export interface FleetReport {
  /** Streams that ended unasked, by reason. */
  readonly lost: Readonly<Record<string, number>>;
  readonly snapshots: number;
  readonly cpuMs: number;
}

export type Answer =
  | { readonly kind: "done"; readonly atMs: number }
  | {
      readonly kind: "registered";
      readonly atMs: number;
      readonly leases: readonly (readonly [node: string, lease: string])[];
    }
  | { readonly kind: "lags"; readonly lags: Histogram; readonly atMs: number }
  | { readonly kind: "report"; readonly report: FleetReport };

export interface NumberedOrder {
  readonly id: number;
  readonly order: Order;
}

export interface NumberedAnswer {
  readonly id: number;
  readonly answer: Answer;
}
