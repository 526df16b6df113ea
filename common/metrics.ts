/**
 * Metrics by the names of the catalogue, over prom-client (its only home, loaded only when a
 * daemon serves metrics: it costs memory). Made in `main` and passed down; no globals.
 */
import type { Counter, Gauge, Histogram, Registry } from "prom-client";
import { TwillError } from "./errors.ts";
import {
  type CounterName,
  type GaugeName,
  type HistogramName,
  type LabelsOf,
  METRICS,
  type MetricSpec,
} from "./metric-catalogue.ts";

export interface Metrics {
  add<N extends CounterName>(name: N, labels: LabelsOf<N>, amount?: number): void;
  set<N extends GaugeName>(name: N, labels: LabelsOf<N>, value: number): void;
  observe<N extends HistogramName>(name: N, labels: LabelsOf<N>, value: number): void;
  /** Forgets all label sets of a gauge, before it is set anew for what is there now. */
  clear(name: GaugeName): void;
  /** Calls `read` before every scrape, for values that are cheaper read than followed. */
  beforeScrape(read: () => void): void;
  /** The text that Prometheus reads. */
  scrape(): Promise<{ readonly contentType: string; readonly body: string }>;
}

/** For tests, one-shot commands, and daemons that serve no metrics. */
export const noMetrics: Metrics = {
  add: () => undefined,
  set: () => undefined,
  observe: () => undefined,
  clear: () => undefined,
  beforeScrape: () => undefined,
  scrape: async () => ({ contentType: "text/plain", body: "" }),
};

/**
 * The event loop's delay is measured by a timer of this period. prom-client's default of 10 ms
 * wakes an idle daemon a hundred times a second: 0.4 % of a CPU, half of all it uses (measured).
 */
const LOOP_DELAY_PRECISION_MS = 500;

/** All metrics of this daemon, at zero, beside Node's own (process_*, nodejs_*). */
export async function createMetrics(daemon: "controller" | "agent"): Promise<Metrics> {
  const prom = await import("prom-client");
  const registry = new prom.Registry();
  prom.collectDefaultMetrics({
    register: registry,
    eventLoopMonitoringPrecision: LOOP_DELAY_PRECISION_MS,
  });
  const metrics = new PromMetrics(registry);
  for (const [name, spec] of Object.entries<MetricSpec>(METRICS)) {
    if (spec.on === "both" || spec.on === daemon) metrics.register(name, spec, prom);
  }
  return metrics;
}

class PromMetrics implements Metrics {
  readonly #registry: Registry;
  readonly #counters = new Map<string, Counter>();
  readonly #gauges = new Map<string, Gauge>();
  readonly #histograms = new Map<string, Histogram>();
  readonly #readers: (() => void)[] = [];

  constructor(registry: Registry) {
    this.#registry = registry;
  }

  register(name: string, spec: MetricSpec, prom: typeof import("prom-client")): void {
    const common = {
      name,
      help: spec.help,
      labelNames: [...spec.labels],
      registers: [this.#registry],
    };
    switch (spec.type) {
      case "counter":
        this.#counters.set(name, new prom.Counter(common));
        return;
      case "gauge":
        this.#gauges.set(name, new prom.Gauge(common));
        return;
      case "histogram": {
        const buckets = [...(spec.buckets ?? [])];
        this.#histograms.set(name, new prom.Histogram({ ...common, buckets }));
      }
    }
  }

  add<N extends CounterName>(name: N, labels: LabelsOf<N>, amount = 1): void {
    known(this.#counters, name).inc({ ...labels }, amount);
  }

  set<N extends GaugeName>(name: N, labels: LabelsOf<N>, value: number): void {
    known(this.#gauges, name).set({ ...labels }, value);
  }

  observe<N extends HistogramName>(name: N, labels: LabelsOf<N>, value: number): void {
    known(this.#histograms, name).observe({ ...labels }, value);
  }

  clear(name: GaugeName): void {
    known(this.#gauges, name).reset();
  }

  beforeScrape(read: () => void): void {
    this.#readers.push(read);
  }

  async scrape(): Promise<{ contentType: string; body: string }> {
    for (const read of this.#readers) read();
    return { contentType: this.#registry.contentType, body: await this.#registry.metrics() };
  }
}

/** A name of the other daemon is a mistake in the code, not in the operation. */
function known<M>(metrics: ReadonlyMap<string, M>, name: string): M {
  const metric = metrics.get(name);
  if (metric === undefined) throw new TwillError("BUG", `${name} is not a metric of this daemon`);
  return metric;
}
