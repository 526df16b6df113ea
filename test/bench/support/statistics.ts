/** Medians and percentiles; single runs on shared machines say little. */
import type { Histogram } from "./fleet-orders.ts";

export function median(numbers: readonly number[]): number {
  return percentile(numbers, 50);
}

/** Nearest rank. */
export function percentile(numbers: readonly number[], percent: number): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)] ?? Number.NaN;
}

export function histogramPercentile(histogram: Histogram, percent: number): number {
  const rows = Object.entries(histogram)
    .map(([value, count]) => ({ value: Number(value), count }))
    .toSorted((a, b) => a.value - b.value);
  const total = rows.reduce((sum, { count }) => sum + count, 0);
  let left = Math.max(1, Math.ceil((percent / 100) * total));
  for (const { value, count } of rows) {
    left -= count;
    if (left <= 0) return value;
  }
  return Number.NaN;
}

export function addHistograms(histograms: readonly Histogram[]): Histogram {
  const sum: Histogram = {};
  for (const histogram of histograms) {
    for (const [value, count] of Object.entries(histogram)) sum[value] = (sum[value] ?? 0) + count;
  }
  return sum;
}
