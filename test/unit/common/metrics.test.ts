/** Metrics by catalogue: right names, right text, nothing shared between two registries. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { METRICS, type MetricSpec, renderMetricsTable } from "../../../common/metric-catalogue.ts";
import { createMetrics, noMetrics } from "../../../common/metrics.ts";

describe("the catalogue of metrics", () => {
  for (const [name, spec] of Object.entries<MetricSpec>(METRICS)) {
    it(`follows Prometheus' naming rules: ${name}`, () => {
      assert.match(name, /^twill_[a-z0-9_]+$/);
      assert.equal(name.endsWith("_total"), spec.type === "counter");
      assert.equal(spec.buckets !== undefined, spec.type === "histogram");
      assert.match(spec.help, /\.$/);
      const buckets = [...(spec.buckets ?? [])];
      assert.deepEqual(
        buckets,
        buckets.toSorted((a, b) => a - b),
      );
    });
  }

  it("is a table for the docs with a row per metric", () => {
    const rows = renderMetricsTable().trimEnd().split("\n");
    assert.equal(rows.length, 2 + Object.keys(METRICS).length);
    assert.equal(
      rows.find((row) => row.includes("twill_leader`")),
      "| `twill_leader` | gauge | controller |  | 1 while this replica leads. |",
    );
  });
});

describe("metrics", () => {
  it("count, set and observe", async () => {
    const metrics = await createMetrics("agent");
    metrics.add("twill_drift_repaired_total", { kind: "route" });
    metrics.add("twill_drift_repaired_total", { kind: "route" }, 2);
    metrics.set("twill_peers", {}, 7);
    metrics.observe("twill_reconcile_seconds", {}, 0.003);
    const { body, contentType } = await metrics.scrape();
    assert.match(contentType, /^text\/plain; version=/);
    assert.match(body, /^twill_drift_repaired_total\{kind="route"\} 3$/m);
    assert.match(body, /^twill_peers 7$/m);
    assert.match(body, /^twill_reconcile_seconds_bucket\{le="0\.0025"\} 0$/m);
    assert.match(body, /^twill_reconcile_seconds_bucket\{le="0\.005"\} 1$/m);
    assert.match(body, /^process_resident_memory_bytes [0-9]/m);
  });

  it("show those without labels from the start, and none of the other daemon's", async () => {
    const { body } = await (await createMetrics("agent")).scrape();
    assert.match(body, /^twill_in_sync 0$/m);
    assert.doesNotMatch(body, /twill_leader/);
  });

  it("forget label sets that are cleared", async () => {
    const metrics = await createMetrics("agent");
    metrics.set("twill_kernel_failures", { kind: "route" }, 3);
    metrics.clear("twill_kernel_failures");
    metrics.set("twill_kernel_failures", { kind: "fdb" }, 1);
    const { body } = await metrics.scrape();
    assert.doesNotMatch(body, /kind="route"/);
    assert.match(body, /^twill_kernel_failures\{kind="fdb"\} 1$/m);
  });

  it("are read before each scrape where that is cheaper", async () => {
    const metrics = await createMetrics("controller");
    let leases = 0;
    metrics.beforeScrape(() => {
      leases += 5;
      metrics.set("twill_leases", { holder: "twill" }, leases);
    });
    await metrics.scrape();
    assert.match((await metrics.scrape()).body, /^twill_leases\{holder="twill"\} 10$/m);
  });

  it("live side by side in one process", async () => {
    const [one, other] = [await createMetrics("controller"), await createMetrics("controller")];
    one.set("twill_leader", {}, 1);
    assert.match((await one.scrape()).body, /^twill_leader 1$/m);
    assert.match((await other.scrape()).body, /^twill_leader 0$/m);
  });

  it("refuse the other daemon's names", async () => {
    const metrics = await createMetrics("agent");
    assert.throws(() => metrics.set("twill_leader", {}, 1), /twill_leader is not a metric of this/);
  });

  it("are checked by the compiler", async () => {
    const metrics = noMetrics;
    // @ts-expect-error a gauge is not counted
    metrics.add("twill_leader", {});
    // @ts-expect-error the label is called kind
    metrics.add("twill_drift_repaired_total", { sort: "route" });
    // @ts-expect-error the label is missing
    metrics.add("twill_drift_repaired_total", {});
    assert.equal((await metrics.scrape()).body, "");
  });
});
